"""RIoTBench: three applications on readings of a city (Shukla, Chaturvedi and Simmhan 2017).

Data and pipelines are written for edgestream from the published descriptions; plain Python
recomputes the answers. Trained models are given in the pipeline file instead of being fetched.
"""
