"""Job files: YAML in, checked values out, every problem at once with its place.

`load` reads a file and makes nothing; `build` makes the parts of one job; `check` asks the parts what is wrong before it
costs anything; `schema` tells editors. The app calls them. What an option means is the business of the factory whose
signature declares it.
"""
