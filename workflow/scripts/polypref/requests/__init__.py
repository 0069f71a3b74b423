"""Requests to models and their answers: ask, complete, collect, and the engines that answer."""
