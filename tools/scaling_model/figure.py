"""Draws efficiency over the number of cores."""

from matplotlib import figure as matplotlib_figure

from tools.scaling_model import inputs, tables


def draw(given: inputs.Inputs, output: str) -> None:
  """Writes a picture with a panel for each network.

  Args:
    given: what the tables are made from.
    output: file name; its ending says the format.
  """
  drawing = matplotlib_figure.Figure(figsize=(10, 4))
  panels = drawing.subplots(1, len(given.networks), sharey=True, squeeze=False)
  for axis, network in zip(panels[0], given.networks):
    for color, device in enumerate(given.devices):
      for steps, style in (
        (tables.growing_steps, '-'),
        (tables.fixed_steps, '--'),
      ):
        possible = [
          step for step, division in steps(given, network, device) if division
        ]
        axis.plot(
          [step.cores for step in possible],
          [step.efficiency for step in possible],
          style,
          marker='o',
          markersize=3,
          color='C{}'.format(color),
          label=device.name if style == '-' else None,
        )
    axis.set_title(network.name)
    axis.set_xscale('log', base=2)
    axis.set_xticks(tables.CORES)
    axis.set_xticklabels(tables.CORES)
    axis.set_xlabel('cores')
    axis.set_ylim(0, 1.05)
    axis.grid(alpha=0.3)
  panels[0][0].set_ylabel('computing / step time')
  panels[0][0].plot([], [], 'k-', label='batch grows with the cores')
  panels[0][0].plot([], [], 'k--', label="the preset's batch")
  panels[0][0].legend(loc='lower left', fontsize='small')
  drawing.tight_layout()
  drawing.savefig(output)
