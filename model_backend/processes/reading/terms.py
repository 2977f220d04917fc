"""Usual words for land in five languages, and what comes near to words that land by example does not know.

Tables only. The usual words are spelt as people write them; all else is looked up in ``models.languages``.
"""

from __future__ import annotations

LANGUAGES = ("en", "de", "fr", "es", "zh")

#: What prompts name most, the most usual first, in the order of ``LANGUAGES``.
TERMS: tuple[tuple[str, str, str, str, str], ...] = (
    ("forest", "Wald", "forêt", "bosque", "森林"),
    ("farmland", "Ackerland", "terres agricoles", "tierras de cultivo", "农田"),
    ("meadow", "Wiese", "pré", "prado", "牧草地"),
    ("lake", "See", "lac", "lago", "湖"),
    ("river", "Fluss", "rivière", "río", "河"),
    ("village", "Dorf", "village", "pueblo", "村庄"),
    ("houses", "Häuser", "maisons", "casas", "房屋"),
    ("city", "Großstadt", "ville", "ciudad", "城市"),
    ("road", "Landstraße", "route", "carretera", "道路"),
    ("coast", "Küste", "côte", "costa", "海岸"),
    ("beach", "Strand", "plage", "playa", "海滩"),
    ("pond", "Teich", "étang", "estanque", "池塘"),
    ("stream", "Bach", "ruisseau", "arroyo", "小溪"),
    ("marsh", "Sumpf", "marais", "pantano", "沼泽"),
    ("vineyard", "Weinberg", "vignoble", "viñedo", "葡萄园"),
    ("orchard", "Obstgarten", "verger", "huerto", "果园"),
    ("hedge", "Hecke", "haie", "seto", "树篱"),
    ("heath", "Heide", "lande", "brezal", "荒原"),
    ("desert", "Wüste", "désert", "desierto", "沙漠"),
    ("rock", "Felsen", "rocher", "roca", "岩石"),
    ("quarry", "Steinbruch", "carrière", "cantera", "采石场"),
    ("park", "Park", "parc", "parque", "公园"),
    ("golf course", "Golfplatz", "terrain de golf", "campo de golf", "高尔夫球场"),
    ("industrial area", "Industriegebiet", "zone industrielle", "zona industrial", "工业区"),
    ("warehouse", "Lagerhalle", "entrepôt", "almacén", "仓库"),
    ("parking lot", "Parkplatz", "parking", "aparcamiento", "停车场"),
    ("street", "Straße", "rue", "calle", "街道"),
    ("motorway", "Autobahn", "autoroute", "autopista", "高速公路"),
    ("railway", "Eisenbahn", "voie ferrée", "ferrocarril", "铁路"),
    ("harbour", "Hafen", "port", "puerto", "港口"),
    ("airport", "Flughafen", "aéroport", "aeropuerto", "机场"),
    ("island", "Insel", "île", "isla", "岛"),
    ("canal", "Kanal", "canal", "canal", "运河"),
)

#: What people ask for and no bank shows, in any language, and known words that come near to it.
NEAR: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("fjord fiord fiordo 峡湾", ("lake", "bay", "river")),
    ("mountain berg berge gebirge montagne montaña 山 山脉 山区", ("rock", "forest")),
    ("hill hügel colline colina 山丘 丘陵", ("meadow", "forest")),
    ("cliff klippe steilküste falaise acantilado 悬崖", ("rock", "coast")),
    ("valley tal vallée valle 山谷", ("meadow", "river")),
    ("canyon gorge schlucht cañón barranco 峡谷", ("rock", "river")),
    ("volcano lava vulkan volcan volcán 火山", ("rock", "desert")),
    ("glacier snow ice gletscher schnee eis neige glace glaciar nieve hielo 冰川 雪 冰", ("rock", "lake")),
    ("waterfall wasserfall cascade cascada catarata 瀑布", ("river", "rock")),
    ("estuary delta mündung flussmündung estuaire estuario 河口 三角洲", ("river", "coast")),
    ("peninsula halbinsel péninsule península 半岛", ("island", "coast")),
    ("reef riff récif arrecife 珊瑚礁", ("sea", "coast")),
    ("tundra taiga toundra taïga 苔原", ("heath", "forest")),
    ("oasis oase 绿洲", ("desert", "lake")),
    ("paddy reisfeld reisfelder rizière arrozal 稻田", ("field", "marsh")),
    ("greenhouse gewächshaus gewächshäuser serre invernadero 温室 大棚", ("warehouse", "field")),
    ("palm palme palmen palmier palmera 棕榈", ("tree", "plantation")),
    ("bridge brücke pont puente 桥 大桥", ("road", "river")),
    ("dam damm staudamm barrage presa 大坝 水坝", ("reservoir", "lake")),
    ("roundabout kreisverkehr rond-point rotonda 环岛", ("road", "street")),
    ("station bahnhof gare estación 车站 火车站", ("railway", "building")),
    ("church kirche église iglesia 教堂", ("village", "building")),
    ("castle burg schloss château castillo 城堡", ("village", "building")),
    ("stadium stadion stade estadio 体育场", ("park", "building")),
    ("square plaza platz marktplatz 广场", ("parking lot", "downtown")),
    ("cemetery friedhof cimetière cementerio 墓地", ("park", "meadow")),
    ("playground pitch sportplatz spielplatz fußballplatz 操场 球场", ("park", "meadow")),
    ("solar photovoltaic solarpark solaranlage solaire solar 太阳能", ("farmland", "warehouse")),
    ("turbine windrad windräder windpark éolienne éoliennes aerogenerador 风车", ("farmland", "tower")),
    ("pool schwimmbad freibad piscine piscina 游泳池", ("pond", "park")),
    ("tent zelt zelte tente tienda 帐篷", ("campsite", "meadow")),
    ("cow cattle sheep kühe kühen vieh schafe vache vaches vacas ovejas 牛 羊", ("pasture", "meadow")),
)
