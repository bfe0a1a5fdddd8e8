"""The ready questions: each written once, put together from the pieces of a dialect.

Each function gives SQL whose answer has the columns that its docstring names, in a fixed order of rows, so that both
engines answer alike. Calls are counted by their weight, so that a sampled log tells of all calls. Quantiles would need
weighing too: where rows of one group stand for different numbers of calls they are null, not guessed. A share is a
number from 0 to 1, and a duration is in milliseconds, as its name says.
"""
