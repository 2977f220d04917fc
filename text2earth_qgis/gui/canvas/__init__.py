"""What the plugin draws on the map, and the map tools that draw with the mouse."""
