"""The command ``sttreid``: data sets, the simulator, the evaluator, studies and benchmarks."""
