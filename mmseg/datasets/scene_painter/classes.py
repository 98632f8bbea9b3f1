"""The classes, and the colours of what belongs to each, in RGB.

Classes share hues on purpose (grey walls, roads and pavements; green lawns, leaves and clothes), so that colour alone
does not name the class.
"""

import numpy as np

CLASSES = ('sky', 'ground', 'road', 'building', 'tree', 'car', 'person', 'sign')
THINGS = ('tree', 'car', 'person', 'sign')  # stand in a scene or not
SKY, GROUND, ROAD, BUILDING, TREE, CAR, PERSON, SIGN = range(len(CLASSES))

SKIES = ((96, 150, 220), (150, 190, 235), (205, 212, 218), (170, 175, 182), (235, 190, 150), (120, 130, 160))
GROUNDS = ((88, 122, 58), (112, 140, 70), (150, 130, 96), (168, 162, 152), (136, 132, 126), (196, 178, 140))
ROADS = ((92, 92, 96), (70, 72, 78), (118, 116, 112), (140, 132, 122), (104, 96, 92))
WALLS = (
    (168, 96, 74), (196, 170, 132), (142, 140, 138), (206, 198, 186), (120, 86, 70), (132, 156, 176), (104, 108, 118),
    (186, 150, 150), (150, 160, 120),
)  # fmt: skip
LEAVES = (
    (58, 98, 42), (84, 122, 50), (44, 78, 44), (128, 128, 52), (176, 116, 48), (150, 74, 44), (196, 150, 168),
)  # fmt: skip
PAINTS = (
    (186, 32, 36), (30, 62, 140), (212, 212, 214), (50, 52, 56), (128, 132, 138), (222, 176, 44), (40, 104, 80),
)  # fmt: skip
CLOTHES = (
    (196, 44, 52), (44, 72, 160), (40, 42, 50), (226, 222, 214), (70, 120, 66), (224, 150, 40), (146, 70, 150),
    (60, 160, 170),
)  # fmt: skip
SKINS = ((236, 194, 166), (204, 150, 116), (150, 100, 72), (98, 66, 50))

LAMP_WHITE, LAMP_RED, DARK, STEEL = (
    np.array(c) for c in ((250, 240, 190), (205, 30, 30), (26, 26, 30), (142, 144, 148))
)
RED, BLUE, WHITE, YELLOW = (np.array(c) for c in ((206, 26, 34), (24, 84, 190), (240, 240, 236), (248, 200, 30)))
