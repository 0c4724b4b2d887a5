"""What starts the product's neighbours: for the demo, the tests and the benchmarks. Never installed."""
