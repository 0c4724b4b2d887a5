"""How good a model is: metrics, questions, and a report."""
