"""What the classes of common maps and land cover products are called in prompts, and how large they are.

osm      tags of OpenStreetMap
codes    CORINE, ESA WorldCover, NLCD, CDL
sizes    how wide lines and how large single things are
"""
