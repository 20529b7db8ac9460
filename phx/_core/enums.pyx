"""The words of phx as numbers, visible to Python as IntEnums; declared in enums.pxd."""
