"""The vocabulary of the miniature's world: one concept per row, one dictionary word per language.

Only the words of the languages are real. The world has no inflection, no articles and no agreement, so its texts are
sequences of dictionary forms (verbs in the third person singular), in lower case except for German nouns.
"""

LANGUAGES = ("en", "ar", "zh", "de", "is", "ja", "nl", "ru", "es")
NAMES = {
    "en": "English", "ar": "Arabic", "zh": "Chinese", "de": "German", "is": "Icelandic",
    "ja": "Japanese", "nl": "Dutch", "ru": "Russian", "es": "Spanish",
}  # fmt: skip

# Columns: the nine languages in the order of LANGUAGES; the English word is the concept's name.
TABLE = """
[animal]
dog كلب 狗 Hund hundur 犬 hond собака perro
cat قط 猫 Katze köttur 猫 kat кошка gato
horse حصان 马 Pferd hestur 馬 paard лошадь caballo
cow بقرة 牛 Kuh kýr 牛 koe корова vaca
bird طائر 鸟 Vogel fugl 鳥 vogel птица pájaro
fish سمكة 鱼 Fisch fiskur 魚 vis рыба pez
sheep خروف 羊 Schaf sauður 羊 schaap овца oveja
bear دب 熊 Bär björn 熊 beer медведь oso
wolf ذئب 狼 Wolf úlfur 狼 wolf волк lobo
frog ضفدع 青蛙 Frosch froskur カエル kikker лягушка rana
mouse فأر 老鼠 Maus mús ネズミ muis мышь ratón
duck بطة 鸭子 Ente önd アヒル eend утка pato
[person]
man رجل 男人 Mann maður 男 man мужчина hombre
woman امرأة 女人 Frau kona 女 vrouw женщина mujer
child طفل 孩子 Kind barn 子供 kind ребёнок niño
king ملك 国王 König konungur 王様 koning король rey
teacher معلم 老师 Lehrer kennari 先生 leraar учитель maestro
doctor طبيب 医生 Arzt læknir 医者 dokter врач médico
farmer مزارع 农民 Bauer bóndi 農夫 boer фермер granjero
friend صديق 朋友 Freund vinur 友達 vriend друг amigo
[thing]
apple تفاحة 苹果 Apfel epli りんご appel яблоко manzana
bread خبز 面包 Brot brauð パン brood хлеб pan
milk حليب 牛奶 Milch mjólk 牛乳 melk молоко leche
snow ثلج 雪 Schnee snjór 雪 sneeuw снег nieve
grass عشب 草 Gras gras 草 gras трава hierba
banana موز 香蕉 Banane banani バナナ banaan банан plátano
stone حجر 石头 Stein steinn 石 steen камень piedra
sun شمس 太阳 Sonne sól 太陽 zon солнце sol
flower زهرة 花 Blume blóm 花 bloem цветок flor
tree شجرة 树 Baum tré 木 boom дерево árbol
egg بيضة 鸡蛋 Ei egg 卵 ei яйцо huevo
book كتاب 书 Buch bók 本 boek книга libro
boat قارب 船 Boot bátur 船 boot лодка barco
car سيارة 汽车 Auto bíll 車 auto машина coche
ball كرة 球 Ball bolti ボール bal мяч pelota
hat قبعة 帽子 Hut hattur 帽子 hoed шляпа sombrero
[place]
house بيت 房子 Haus hús 家 huis дом casa
river نهر 河 Fluss fljót 川 rivier река río
forest غابة 森林 Wald skógur 森 bos лес bosque
city مدينة 城市 Stadt borg 都市 stad город ciudad
mountain جبل 山 Berg fjall 山 berg гора montaña
garden حديقة 花园 Garten garður 庭 tuin сад jardín
sea بحر 海 Meer haf 海 zee море mar
school مدرسة 学校 Schule skóli 学校 school школа escuela
market سوق 市场 Markt markaður 市場 markt рынок mercado
field حقل 田野 Feld akur 畑 veld поле campo
[colour]
red أحمر 红色 rot rauður 赤い rood красный rojo
green أخضر 绿色 grün grænn 緑 groen зелёный verde
blue أزرق 蓝色 blau blár 青い blauw синий azul
white أبيض 白色 weiß hvítur 白い wit белый blanco
black أسود 黑色 schwarz svartur 黒い zwart чёрный negro
yellow أصفر 黄色 gelb gulur 黄色い geel жёлтый amarillo
brown بني 棕色 braun brúnn 茶色 bruin коричневый marrón
grey رمادي 灰色 grau grár 灰色 grijs серый gris
[quality]
big كبير 大 groß stór 大きい groot большой grande
small صغير 小 klein lítill 小さい klein маленький pequeño
old عجوز 老 alt gamall 古い oud старый viejo
young شاب 年轻 jung ungur 若い jong молодой joven
hot ساخن 热 heiß heitur 熱い heet горячий caliente
cold بارد 冷 kalt kaldur 冷たい koud холодный frío
long طويل 长 lang langur 長い lang длинный largo
short قصير 短 kurz stuttur 短い kort короткий corto
fast سريع 快 schnell hraður 速い snel быстрый rápido
slow بطيء 慢 langsam hægur 遅い langzaam медленный lento
strong قوي 强 stark sterkur 強い sterk сильный fuerte
weak ضعيف 弱 schwach veikur 弱い zwak слабый débil
happy سعيد 快乐 froh glaður 嬉しい blij счастливый feliz
sad حزين 悲伤 traurig dapur 悲しい verdrietig грустный triste
rich غني 富 reich ríkur 豊か rijk богатый rico
poor فقير 穷 arm fátækur 貧しい arm бедный pobre
[verb]
sees يرى 看见 sieht sér 見る ziet видит ve
loves يحب 爱 liebt elskar 愛する bemint любит ama
finds يجد 找到 findet finnur 見つける vindt находит encuentra
buys يشتري 买 kauft kaupir 買う koopt покупает compra
hears يسمع 听见 hört heyrir 聞く hoort слышит oye
takes يأخذ 拿 nimmt tekur 取る neemt берёт toma
follows يتبع 跟着 verfolgt eltir 追う volgt преследует sigue
helps يساعد 帮助 hilft hjálpar 助ける helpt помогает ayuda
wants يريد 想要 will vill 求める wil хочет quiere
carries يحمل 带着 trägt ber 運ぶ draagt несёт lleva
[number]
one واحد 一 eins einn 一 één один uno
two اثنان 二 zwei tveir 二 twee два dos
three ثلاثة 三 drei þrír 三 drie три tres
four أربعة 四 vier fjórir 四 vier четыре cuatro
five خمسة 五 fünf fimm 五 vijf пять cinco
six ستة 六 sechs sex 六 zes шесть seis
seven سبعة 七 sieben sjö 七 zeven семь siete
eight ثمانية 八 acht átta 八 acht восемь ocho
nine تسعة 九 neun níu 九 negen девять nueve
ten عشرة 十 zehn tíu 十 tien десять diez
[kind]
animal حيوان 动物 Tier dýr 動物 dier животное animal
person شخص 人 Mensch manneskja 人 mens человек persona
thing شيء 东西 Ding hlutur 物 ding вещь cosa
[function]
in في 在 in í で in в en
from من 从 von frá から van от desde
to إلى 到 bis til まで tot до hasta
is يكون 是 ist er です is есть es
lives يعيش 住 lebt býr 住む woont живёт vive
plus زائد 加 plus plús 足す plus плюс más
where أين 哪里 wo hvar どこ waar где dónde
what ماذا 什么 was hvað 何 wat что qué
who أيّ 谁 wer hver 誰 wie кто quién
which-colour لون 颜色 Farbe litur 色 kleur цвет color
say قل 说 sage segðu 言う zeg скажи di
opposite عكس 反义词 Gegenteil andstæða 反対 tegendeel наоборот contrario
count عدّ 数 zähle teldu 数える tel считай cuenta
describe صف 描述 beschreibe lýstu 説明する beschrijf опиши describe
[mark]
. . 。 . . 。 . . .
? ؟ ？ ? ? ？ ? ? ?
: : ： : : ： : : :
, ، ， , , 、 , , ,
"""

# Synonyms that do not occur in training: because references use them, even a perfect translator is below 100 BLEU.
SYNONYMS = {
    "car": dict(
        ar="عربة", zh="轿车", de="Wagen", nl="wagen", ru="автомобиль", es="auto", ja="自動車", **{"is": "bifreið"}
    ),
    "doctor": dict(
        ar="دكتور", zh="大夫", de="Doktor", nl="arts", ru="доктор", es="doctor", ja="医師", **{"is": "doktor"}
    ),
    "boat": dict(ar="زورق", zh="小船", de="Kahn", nl="schuit", ru="шлюпка", es="barca", ja="舟", **{"is": "skip"}),
}

JA_PARTICLES = {"S": "は", "O": "を"}


def read_table() -> tuple[dict[str, dict[str, str]], dict[str, tuple[str, ...]]]:
    """Parse the table above.

    Returns
    -------
    words
        Concept -> language -> word.
    groups
        Group -> its concepts, in the order of the table.
    """
    words: dict[str, dict[str, str]] = {}
    groups: dict[str, tuple[str, ...]] = {}
    group = ""
    for line in TABLE.strip().splitlines():
        if line.startswith("["):
            group = line.strip("[]")
            groups[group] = ()
            continue
        row = line.split()
        if len(row) != len(LANGUAGES):
            raise ValueError(f"lexicon: {line!r} has {len(row)} words, expected {len(LANGUAGES)}")
        concept = row[0]
        words[concept] = dict(zip(LANGUAGES, row, strict=True))
        groups[group] += (concept,)
    words["which-colour"]["en"] = "colour"
    for language in LANGUAGES:
        seen = [forms[language] for forms in words.values()]
        doubled = {word for word in seen if seen.count(word) > 1}
        if doubled:
            raise ValueError(f"lexicon: {language} has one word for two concepts: {sorted(doubled)}")
    return words, groups


WORDS, GROUPS = read_table()
