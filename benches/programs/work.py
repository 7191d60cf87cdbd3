"""Dictionaries, strings, objects and a little JSON, without pymalloc."""
import json


class Node:
    def __init__(self, name, parts):
        self.name = name
        self.parts = parts


def once(turn):
    table = {}
    for i in range(30000):
        table.setdefault(f"key {i * 7919 % 10007}", []).append((i, str(i + turn)))
    nodes = [Node(name, parts) for name, parts in table.items()]
    nodes.sort(key=lambda node: (len(node.parts), node.name))
    text = json.dumps({node.name: node.parts for node in nodes})
    return len(text) + sum(len(parts) for parts in json.loads(text).values())


print(sum(once(turn) for turn in range(5)))
