"""Files of published weights, and the names that their tensors have here."""
