"""The settings of each section of the configuration: type, default, range and explanation of every key, once.

A class `...Section` is what users write. Its `...Settings` is what a stage is given: the section, and what the plan
adds. A stage imports the module of its own section, so that editing another section reruns nothing of it.
"""
