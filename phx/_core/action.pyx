"""The words of the gateway's actions, visible to Python; declared in action.pxd."""
