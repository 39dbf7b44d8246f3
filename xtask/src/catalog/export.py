"""Prints the data of `genai_prices/data.py` as JSON, decimals as the text they were written as.

The file is executed with every type replaced by a plain dictionary, so that neither the package
nor what it depends on has to be installed, and no decimal passes through a float.
"""

import json
import sys


class Names(dict):
    def __missing__(self, name):
        return lambda **fields: {**fields, "type": name}


class Dates:
    date = time = datetime = staticmethod(lambda *parts, **_: "-".join(f"{part:02}" for part in parts))
    UTC = "UTC"


with open(sys.argv[1], encoding="utf-8") as file:
    lines = [line for line in file if not line.startswith(("import ", "from "))]

names = Names(datetime=Dates, Decimal=str, list=list, __annotations__={})
exec("".join(lines), {}, names)
json.dump(names["providers"], sys.stdout)
