"""The box's own page. Only here the agent imports aiohttp, and only while the page is on."""
