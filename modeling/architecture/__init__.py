"""Networks: backbones, necks, heads and the blocks that they are made of."""
