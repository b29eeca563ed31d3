"""Facts about each language for the normaliser: how its numbers are written, its abbreviations, units and symbols.

English is complete; German, French, Spanish, Italian, Portuguese, Russian, Dutch, Polish and Chinese are covered where
a reading is safe without grammar. A language that is not listed gets `DEFAULT`: its numbers are read where num2words
knows it, everything else stays as written.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache


@dataclass(frozen=True)
class Currency:
    """Names of a currency and of its hundredth; an empty `cent` means that there is none."""

    one: str
    many: str
    cent: str = ""
    cents: str = ""


@dataclass(frozen=True)
class Language:
    """Facts about one language.

    Attributes:
        code: language subtag, as num2words spells it where it differs from ours.
        decimal, thousands: the signs in numbers; `thousands` may be several characters, a blank among them.
        point: word for the decimal sign; `digitwise` reads the decimals digit by digit.
        minus, to: words for a minus sign and a range.
        symbols: sign -> word, for signs that stand alone, before or inside a word.
        abbreviations: lower case, without the final full stop -> reading; the full stop must be there.
        bare: the same for abbreviations that need no full stop.
        before_number: abbreviations that are expanded only before a number ("No. 5", "p. 12").
        before_name: abbreviations that are expanded only before a capitalised word ("Gen. Lee").
        pairs: abbreviations written as two tokens ("z. B.").
        months: names, January first; month_abbreviations: lower case -> index from 0.
        units: written -> (one, many), read after a number.
        currencies: sign -> names.
        ordinal: regular expression of an ordinal in figures, group 1 the digits.
        conjunctions: words before which a long sentence may be cut.
        day_first: 05/01 is 5 January.
        day_ordinal: the day of a date is an ordinal.
        time: template of a clock time, and of a full hour.
        caps_words: short words that are shouted rather than abbreviated when they stand in capitals.
        spelled: acronyms of four letters and more that are spelled although they could be pronounced.
        numbered: words (lower case) after which a Roman numeral is a number.
        acronyms: acronyms that are spelled even within a shouted line.
        pronounced: acronyms that are words; a run of them is not shouted.
        scales: words that belong to the number before them ("5 million").
        ordinal_stop: "3." within a sentence is an ordinal.
        split_fix: abbreviations after which no sentence ends, beyond what the segmenter knows.
    """

    code: str
    decimal: str = "."
    thousands: str = ","
    point: str = ""
    digitwise: bool = False
    minus: str = ""
    to: str = ""
    symbols: dict[str, str] = field(default_factory=dict)
    abbreviations: dict[str, str] = field(default_factory=dict)
    bare: dict[str, str] = field(default_factory=dict)
    before_number: dict[str, str] = field(default_factory=dict)
    before_name: dict[str, str] = field(default_factory=dict)
    pairs: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    months: tuple[str, ...] = ()
    month_abbreviations: dict[str, int] = field(default_factory=dict)
    units: dict[str, tuple[str, str]] = field(default_factory=dict)
    currencies: dict[str, Currency] = field(default_factory=dict)
    ordinal: str = ""
    conjunctions: frozenset[str] = frozenset()
    day_first: bool = True
    day_ordinal: bool = False
    time: tuple[str, str] = ("", "")
    caps_words: frozenset[str] = frozenset()
    spelled: frozenset[str] = frozenset()
    numbered: frozenset[str] = frozenset()
    acronyms: frozenset[str] = frozenset()
    pronounced: frozenset[str] = frozenset()
    scales: frozenset[str] = frozenset()
    ordinal_stop: bool = False
    split_fix: frozenset[str] = frozenset()


def word_set(text: str) -> frozenset[str]:
    """The words of `text`, separated by blanks."""
    return frozenset(text.split())


def _pairs(text: str) -> dict[str, str]:
    """`a=b c; d=e` as a dictionary; a key may be the equals sign itself."""
    items = (item.strip() for item in text.split(";"))
    return {item[0] + key: value for item in items if item for key, value in [item[1:].split("=", 1)]}


def _units(text: str) -> dict[str, tuple[str, str]]:
    """`km=kilometer/kilometers; ...` as a dictionary; one form serves both where only one is given."""
    return {key: (value.split("/")[0], value.split("/")[-1]) for key, value in _pairs(text).items()}


def _months(names: str, short: str) -> tuple[tuple[str, ...], dict[str, int]]:
    """Month names, and every short or long spelling in lower case -> index."""
    full = tuple(names.split())
    table = {name.lower(): index for index, name in enumerate(full)}
    for index, spellings in enumerate(short.split()):
        table.update({spelling: index for spelling in spellings.split("/") if spelling != "-"})
    return full, table


DEFAULT = Language("", thousands=", ")

_EN_MONTHS, _EN_SHORT = _months(
    "January February March April May June July August September October November December",
    "jan feb mar apr - jun jul aug sep/sept oct nov dec",
)
_EN = Language(
    "en",
    point="point",
    digitwise=True,
    minus="minus",
    to="to",
    symbols=_pairs(
        "&=and; %=percent; ‰=per mille; +=plus; ==equals; @=at; €=euros; $=dollars; £=pounds; ¥=yen; ₹=rupees; "
        "₽=rubles; °=degrees; ×=times; ÷=divided by; ±=plus or minus; §=section; ≈=approximately; <=less than; "
        ">=greater than; ≤=at most; ≥=at least; #=number; №=number; "
        "℃=degrees Celsius; ℉=degrees Fahrenheit"
    ),
    abbreviations=_pairs(
        "jr=Junior; sr=Senior; etc=et cetera; e.g=for example; i.e=that is; approx=approximately; inc=Incorporated; "
        "ltd=Limited; co=Company; corp=Corporation; dept=Department; ave=Avenue; blvd=Boulevard; ca=circa; cf=compare; "
        "viz=namely; a.m=A M; p.m=P M; ph.d=P H D; b.c=B C; a.d=A D; esq=Esquire; misc=miscellaneous; est=established"
    ),
    bare=_pairs("mr=Mister; mrs=Missus; ms=Miz; dr=Doctor; prof=Professor; vs=versus; messrs=Messieurs; phd=P H D"),
    before_number=_pairs(
        "no=number; nos=numbers; fig=figure; figs=figures; vol=volume; ch=chapter; p=page; pp=pages; sec=section; "
        "pt=part; c=circa; op=opus; nr=number; art=article"
    ),
    before_name=_pairs(
        "gen=General; col=Colonel; lt=Lieutenant; sgt=Sergeant; capt=Captain; maj=Major; gov=Governor; sen=Senator; "
        "rep=Representative; rev=Reverend; hon=Honorable; pres=President; mt=Mount; ft=Fort; fr=Father; cmdr=Commander"
    ),
    months=_EN_MONTHS,
    month_abbreviations=_EN_SHORT,
    units=_units(
        "km=kilometer/kilometers; m=meter/meters; cm=centimeter/centimeters; mm=millimeter/millimeters; "
        "kg=kilogram/kilograms; g=gram/grams; mg=milligram/milligrams; t=ton/tons; l=liter/liters; L=liter/liters; "
        "ml=milliliter/milliliters; mL=milliliter/milliliters; km/h=kilometers per hour; mph=miles per hour; "
        "mi=mile/miles; ft=foot/feet; yd=yard/yards; lb=pound/pounds; lbs=pounds; oz=ounce/ounces; h=hour/hours; "
        "hr=hour/hours; hrs=hours; min=minute/minutes; mins=minutes; sec=second/seconds; secs=seconds; "
        "s=second/seconds; "
        "ms=millisecond/milliseconds; Hz=hertz; kHz=kilohertz; MHz=megahertz; GHz=gigahertz; W=watt/watts; "
        "kW=kilowatt/kilowatts; MW=megawatt/megawatts; kWh=kilowatt hour/kilowatt hours; V=volt/volts; "
        "KB=kilobyte/kilobytes; "
        "kB=kilobyte/kilobytes; MB=megabyte/megabytes; GB=gigabyte/gigabytes; TB=terabyte/terabytes; "
        "dB=decibel/decibels; "
        "°C=degree Celsius/degrees Celsius; °F=degree Fahrenheit/degrees Fahrenheit; °=degree/degrees; "
        "m²=square meter/square meters; km²=square kilometer/square kilometers; m³=cubic meter/cubic meters; "
        "m/s=meters per second; px=pixels; %=percent"
    ),
    currencies={
        "$": Currency("dollar", "dollars", "cent", "cents"),
        "US$": Currency("US dollar", "US dollars", "cent", "cents"),
        "€": Currency("euro", "euros", "cent", "cents"),
        "£": Currency("pound", "pounds", "penny", "pence"),
        "¥": Currency("yen", "yen"),
        "₹": Currency("rupee", "rupees", "paisa", "paise"),
        "₽": Currency("ruble", "rubles", "kopek", "kopeks"),
    },
    ordinal=r"(\d+(?:,\d{3})*)(?:st|nd|rd|th)",
    conjunctions=word_set(
        "and but or nor so yet because although though while whereas since unless until if when where which who that "
        "whose before after then than as"
    ),
    day_first=False,
    day_ordinal=True,
    caps_words=word_set(
        "A I AN AS AT BE BY DO GO HE IF IN IS ME MY NO OF OH ON OR SO TO UP WE ALL AND ANY ARE BAD BIG BUT BUY "
        "CAN DAY DID FOR GET GOD GOT HAD HAS HER HEY HIM HIS HOT HOW ITS LET MAN MAY NEW NOT NOW OFF OLD ONE OUR OUT "
        "OWN RED RUN SAW SAY SEE SHE SIT THE TOO TOP TRY TWO USE WAR WAS WAY WHO WHY WIN WON WOW YES YET YOU SIX TEN "
        "END BOY DOG CAT EAT FUN CUT PUT SET ACT AGE AIR ARM ART ASK BAR BED BOX CAR CRY DEAD DIE DRY EAR EYE FAR FEW "
        "FLY GUN HIT ICE JOB JOY KEY KID LAW LEG LIE LOT LOW MAD MOM DAD MIX NOR ODD PAY POP RAW ROW SAD SEA SKY SON "
        "SUN TAX TEA TIE WET"
    ),
    spelled=word_set(
        "UCLA IEEE YMCA YWCA AARP NAACP ISBN HTTP HTTPS HTML USSR NCAA ESPN MSNBC CNBC ASPCA DHCP IMAP SMTP XHTML IUCN "
        "SEIU UNHCR ICBM IOOF UEFI USAF ACLU AOL ADHD OECD NSAID ISDN AAPL IKEV OEIS UAW IETF IANA IATA ICAO"
    ),
    numbered=word_set(
        "chapter part book volume act scene section article appendix war phase type figure table level bowl"
    ),
    acronyms=word_set(
        "FBI CIA USA US UK EU UN CEO CFO CTO COO API AI UFO USB URL IBM BBC CNN NBC ABC CBS DNA RNA ATM DIY EPA FAQ "
        "GPA "
        "ICU IPO IQ IRS ISO MBA NBA NGO ID UI UX OS IP ER VIP HIV AOL SUV ETA EKG ECG IOU LA"
    ),
    pronounced=word_set(
        "NASA NATO UNESCO UNICEF AIDS OPEC NASDAQ ASCII COVID SARS UEFA FIFA OSHA NOAA SWAT SCUBA LIDAR ASEAN DARPA "
        "HIPAA "
        "IKEA JPEG MIDI NAFTA PETA RADAR LASER SONAR WASP YOLO RAM ROM PIN SIM"
    ),
    scales=word_set("hundred thousand million billion trillion"),
    split_fix=word_set(
        "approx no nos fig figs vol pp ca cf gen col lt sgt capt maj gov sen rep rev hon pres mt messrs al"
    ),
)

_DE_MONTHS, _DE_SHORT = _months(
    "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "jan feb mär apr - jun jul aug sep/sept okt nov dez",
)
_DE = Language(
    "de",
    decimal=",",
    thousands=". '’",
    point="Komma",
    digitwise=True,
    minus="minus",
    to="bis",
    symbols=_pairs(
        "&=und; %=Prozent; ‰=Promille; +=plus; ==gleich; @=at; €=Euro; $=Dollar; £=Pfund; ¥=Yen; °=Grad; ×=mal; "
        "±=plus minus; §=Paragraf; ≈=ungefähr; <=kleiner als; >=größer als; ≤=höchstens; ≥=mindestens; #=Nummer; "
        "№=Nummer; ℃=Grad Celsius"
    ),
    abbreviations=_pairs(
        "usw=und so weiter; bzw=beziehungsweise; ca=circa; z.b=zum Beispiel; d.h=das heißt; u.a=unter anderem; "
        "vgl=vergleiche; evtl=eventuell; ggf=gegebenenfalls; inkl=inklusive; etc=et cetera; hr=Herr; fr=Frau; "
        "str=Straße; mio=Millionen; mrd=Milliarden; sog=sogenannte; geb=geboren; gest=gestorben; u.s.w=und so weiter; "
        "i.d.r=in der Regel; v.chr=vor Christus; n.chr=nach Christus"
    ),
    bare=_pairs("dr=Doktor; prof=Professor"),
    before_number=_pairs(
        "nr=Nummer; s=Seite; bd=Band; abb=Abbildung; kap=Kapitel; art=Artikel; abs=Absatz; tel=Telefon"
    ),
    before_name=_pairs("st=Sankt; hl=heiliger"),
    pairs={
        ("z", "b"): ("zum", "Beispiel"),
        ("d", "h"): ("das", "heißt"),
        ("u", "a"): ("unter", "anderem"),
        ("u", "ä"): ("und", "Ähnliches"),
        ("v", "chr"): ("vor", "Christus"),
        ("n", "chr"): ("nach", "Christus"),
        ("o", "ä"): ("oder", "Ähnliches"),
    },
    months=_DE_MONTHS,
    month_abbreviations=_DE_SHORT,
    units=_units(
        "km=Kilometer; m=Meter; cm=Zentimeter; mm=Millimeter; kg=Kilogramm; g=Gramm; mg=Milligramm; t=Tonne/Tonnen; "
        "l=Liter; ml=Milliliter; km/h=Kilometer pro Stunde; h=Stunde/Stunden; min=Minute/Minuten; s=Sekunde/Sekunden; "
        "°C=Grad Celsius; °=Grad; m²=Quadratmeter; km²=Quadratkilometer; %=Prozent; kW=Kilowatt; MB=Megabyte; "
        "GB=Gigabyte"
    ),
    currencies={
        "€": Currency("Euro", "Euro", "Cent", "Cent"),
        "$": Currency("Dollar", "Dollar", "Cent", "Cent"),
        "£": Currency("Pfund", "Pfund", "Penny", "Pence"),
        "¥": Currency("Yen", "Yen"),
    },
    conjunctions=word_set("und aber oder denn weil dass obwohl während wenn als damit sondern wo der die das"),
    day_ordinal=True,
    time=("{h} Uhr {m}", "{h} Uhr"),
    spelled=word_set("LKWS PKWS"),
    caps_words=word_set("DAS DER DIE UND IST WIR ICH DU ER SIE ES WAS WER WIE NUR NIE JA EIN"),
    numbered=word_set("kapitel teil band akt buch weltkrieg"),
    ordinal_stop=True,
    scales=word_set("tausend millionen million milliarden milliarde billionen"),
    split_fix=word_set("ca bzw vgl evtl ggf nr bd abb kap inkl hr fr str mio mrd z d u s tel"),
)

_FR_MONTHS, _FR_SHORT = _months(
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "janv févr/fév - avr - - juil - sept oct nov déc",
)
_FR = Language(
    "fr",
    decimal=",",
    thousands=" .",
    point="virgule",
    minus="moins",
    to="à",
    symbols=_pairs(
        "&=et; %=pour cent; +=plus; ==égale; @=arobase; €=euros; $=dollars; £=livres; ¥=yens; °=degrés; ×=fois; "
        "<=inférieur à; >=supérieur à; #=numéro"
    ),
    abbreviations=_pairs(
        "m=Monsieur; etc=et cetera; p.ex=par exemple; c.-à-d=c'est-à-dire; env=environ; av=avant; apr=après"
    ),
    bare=_pairs("mme=Madame; mlle=Mademoiselle; mm=Messieurs; dr=Docteur; pr=Professeur; mgr=Monseigneur"),
    before_number=_pairs("p=page; n°=numéro; no=numéro; art=article; fig=figure; chap=chapitre; vol=volume"),
    pairs={("p", "ex"): ("par", "exemple")},
    months=_FR_MONTHS,
    month_abbreviations=_FR_SHORT,
    units=_units(
        "km=kilomètre/kilomètres; m=mètre/mètres; cm=centimètre/centimètres; mm=millimètre/millimètres; "
        "kg=kilogramme/kilogrammes; g=gramme/grammes; l=litre/litres; ml=millilitre/millilitres; "
        "km/h=kilomètres à l'heure; h=heure/heures; min=minute/minutes; s=seconde/secondes; °C=degré Celsius/degrés "
        "Celsius; "
        "°=degré/degrés; m²=mètre carré/mètres carrés; %=pour cent"
    ),
    currencies={
        "€": Currency("euro", "euros", "centime", "centimes"),
        "$": Currency("dollar", "dollars", "cent", "cents"),
        "£": Currency("livre", "livres", "penny", "pence"),
        "¥": Currency("yen", "yens"),
    },
    ordinal=r"(\d+)(?:er|re|ère|e|ème|ième|nd|nde)",
    conjunctions=word_set("et mais ou donc or ni car que qui quand lorsque parce puisque si comme dont où"),
    time=("{h} heures {m}", "{h} heures"),
    caps_words=word_set("LE LA LES UN UNE DE DU DES ET OU OUI NON PAS TU IL ON QUE QUI EST"),
    numbered=word_set("chapitre partie tome acte livre volume"),
    scales=word_set("mille millions million milliards milliard"),
    split_fix=word_set("m mm mme mlle mgr pr env p"),
)

_ES_MONTHS, _ES_SHORT = _months(
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "ene feb - abr - jun jul ago sept/sep oct nov dic",
)
_ES = Language(
    "es",
    decimal=",",
    thousands=". ",
    point="coma",
    minus="menos",
    to="a",
    symbols=_pairs(
        "&=y; %=por ciento; +=más; ==igual a; @=arroba; €=euros; $=dólares; £=libras; ¥=yenes; °=grados; ×=por; "
        "<=menor que; >=mayor que; #=número"
    ),
    abbreviations=_pairs("etc=etcétera; p.ej=por ejemplo; aprox=aproximadamente; ud=usted; uds=ustedes; avda=avenida"),
    bare=_pairs("sr=señor; sra=señora; srta=señorita; dr=doctor; dra=doctora; prof=profesor"),
    before_number=_pairs("p=página; pág=página; núm=número; nº=número; art=artículo; cap=capítulo; vol=volumen"),
    pairs={("ee", "uu"): ("Estados", "Unidos"), ("p", "ej"): ("por", "ejemplo")},
    months=_ES_MONTHS,
    month_abbreviations=_ES_SHORT,
    units=_units(
        "km=kilómetro/kilómetros; m=metro/metros; cm=centímetro/centímetros; mm=milímetro/milímetros; "
        "kg=kilogramo/kilogramos; g=gramo/gramos; l=litro/litros; km/h=kilómetros por hora; h=hora/horas; "
        "min=minuto/minutos; "
        "s=segundo/segundos; °C=grado Celsius/grados Celsius; °=grado/grados; %=por ciento"
    ),
    currencies={
        "€": Currency("euro", "euros", "céntimo", "céntimos"),
        "$": Currency("dólar", "dólares", "centavo", "centavos"),
        "£": Currency("libra", "libras", "penique", "peniques"),
    },
    ordinal=r"(\d+)(?:º|ª|\.º|\.ª)",
    conjunctions=word_set("y e o u pero sino aunque porque que cuando donde mientras si como pues"),
    time=("{h} {m}", "{h}"),
    caps_words=word_set("EL LA LOS LAS UN UNA DE DEL Y NO SI SÍ QUE ES TU YO"),
    numbered=word_set("capítulo parte tomo acto libro volumen"),
    scales=word_set("mil millones millón"),
    split_fix=word_set("sr sra srta dr dra aprox pág núm ud uds"),
)

_IT_MONTHS, _IT_SHORT = _months(
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "gen feb mar apr mag giu lug ago set/sett ott nov dic",
)
_IT = Language(
    "it",
    decimal=",",
    thousands=". ",
    point="virgola",
    minus="meno",
    to="a",
    symbols=_pairs(
        "&=e; %=per cento; +=più; ==uguale; @=chiocciola; €=euro; $=dollari; £=sterline; ¥=yen; °=gradi; ×=per; "
        "#=numero"
    ),
    abbreviations=_pairs("ecc=eccetera; es=esempio; ca=circa; avv=avvocato; ing=ingegnere"),
    bare=_pairs("sig=signor; dott=dottor; dr=dottor; prof=professor"),
    before_number=_pairs("p=pagina; pag=pagina; n=numero; art=articolo; cap=capitolo; vol=volume"),
    months=_IT_MONTHS,
    month_abbreviations=_IT_SHORT,
    units=_units(
        "km=chilometro/chilometri; m=metro/metri; cm=centimetro/centimetri; mm=millimetro/millimetri; "
        "kg=chilogrammo/chilogrammi; g=grammo/grammi; l=litro/litri; km/h=chilometri all'ora; h=ora/ore; "
        "min=minuto/minuti; s=secondo/secondi; °C=grado Celsius/gradi Celsius; °=grado/gradi; %=per cento"
    ),
    currencies={
        "€": Currency("euro", "euro", "centesimo", "centesimi"),
        "$": Currency("dollaro", "dollari", "centesimo", "centesimi"),
        "£": Currency("sterlina", "sterline", "penny", "pence"),
    },
    ordinal=r"(\d+)[º°ª]",
    conjunctions=word_set("e ed o ma però che perché quando mentre se come dove anche quindi poiché"),
    time=("{h} e {m}", "{h}"),
    caps_words=word_set("IL LO LA I GLI LE UN UNA DI E NO SÌ SI CHE NON"),
    numbered=word_set("capitolo parte tomo atto libro volume"),
    scales=word_set("mila milioni milione miliardi miliardo"),
    split_fix=word_set("sig dott ecc pag avv ing"),
)

_PT_MONTHS, _PT_SHORT = _months(
    "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "jan fev mar abr mai jun jul ago set out nov dez",
)
_PT = Language(
    "pt",
    decimal=",",
    thousands=". ",
    point="vírgula",
    minus="menos",
    to="a",
    symbols=_pairs(
        "&=e; %=por cento; +=mais; ==igual a; @=arroba; €=euros; $=dólares; £=libras; ¥=ienes; °=graus; ×=vezes; "
        "#=número"
    ),
    abbreviations=_pairs("etc=et cetera; ex=exemplo; aprox=aproximadamente; p.ex=por exemplo; av=avenida"),
    bare=_pairs("sr=senhor; sra=senhora; dr=doutor; dra=doutora; prof=professor"),
    before_number=_pairs("p=página; pág=página; nº=número; n=número; art=artigo; cap=capítulo; vol=volume"),
    pairs={("p", "ex"): ("por", "exemplo")},
    months=_PT_MONTHS,
    month_abbreviations=_PT_SHORT,
    units=_units(
        "km=quilômetro/quilômetros; m=metro/metros; cm=centímetro/centímetros; mm=milímetro/milímetros; "
        "kg=quilograma/quilogramas; g=grama/gramas; l=litro/litros; km/h=quilômetros por hora; h=hora/horas; "
        "min=minuto/minutos; s=segundo/segundos; °C=grau Celsius/graus Celsius; °=grau/graus; %=por cento"
    ),
    currencies={
        "€": Currency("euro", "euros", "cêntimo", "cêntimos"),
        "$": Currency("dólar", "dólares", "centavo", "centavos"),
        "R$": Currency("real", "reais", "centavo", "centavos"),
        "£": Currency("libra", "libras", "péni", "pence"),
    },
    ordinal=r"(\d+)[ºª°]",
    conjunctions=word_set("e ou mas porém que porque quando enquanto se como onde pois embora"),
    time=("{h} e {m}", "{h} horas"),
    caps_words=word_set("O A OS AS UM UMA DE DO DA E NÃO SIM QUE EU"),
    numbered=word_set("capítulo parte tomo ato livro volume"),
    scales=word_set("mil milhões milhão bilhões bilhão"),
    split_fix=word_set("sr sra dr dra aprox pág"),
)

_RU_MONTHS, _RU_SHORT = _months(
    "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "янв фев - апр - - - авг сен/сент окт ноя дек",
)
_RU = Language(
    "ru",
    decimal=",",
    thousands=" ",
    minus="минус",
    to="—",
    symbols=_pairs(
        "&=и; %=процентов; +=плюс; ==равно; €=евро; $=долларов; £=фунтов; ₽=рублей; °=градусов; №=номер; @=собака"
    ),
    abbreviations=_pairs(
        "др=другие; пр=прочее; руб=рублей; коп=копеек; тыс=тысяч; млн=миллионов; млрд=миллиардов; им=имени"
    ),
    bare=_pairs("млн=миллионов; млрд=миллиардов"),
    before_number=_pairs("стр=страница; с=страница; рис=рисунок; гл=глава; ст=статья; п=пункт"),
    before_name=_pairs("г=город; ул=улица; проф=профессор; св=святой"),
    pairs={
        ("т", "е"): ("то", "есть"),
        ("т", "д"): ("так", "далее"),
        ("т", "п"): ("тому", "подобное"),
        ("н", "э"): ("нашей", "эры"),
    },
    months=_RU_MONTHS,
    month_abbreviations=_RU_SHORT,
    units=_units(
        "км=километр/километров; м=метр/метров; см=сантиметр/сантиметров; мм=миллиметр/миллиметров; "
        "кг=килограмм/килограммов; г=грамм/граммов; л=литр/литров; ч=час/часов; мин=минута/минут; с=секунда/секунд; "
        "°C=градус Цельсия/градусов Цельсия; %=процент/процентов"
    ),
    ordinal=r"(\d+)-?(?:й|я|е|го|му|м|х)",
    conjunctions=word_set("и а но или что чтобы потому когда если хотя как где который которая которые пока"),
    day_ordinal=True,
    time=("{h} {m}", "{h} часов"),
    caps_words=word_set("Я И В НЕ НА ОН МЫ ВЫ ДА НЕТ КАК ЧТО ЭТО ВСЕ"),
    numbered=word_set("глава часть том акт книга"),
    scales=word_set("тысяч миллион миллиона миллионов миллиарда миллиардов"),
    split_fix=word_set("т е см ср стр рис гл ул им проф св напр г"),
)

_NL_MONTHS, _NL_SHORT = _months(
    "januari februari maart april mei juni juli augustus september oktober november december",
    "jan feb mrt apr - jun jul aug sep/sept okt nov dec",
)
_NL = Language(
    "nl",
    decimal=",",
    thousands=". ",
    point="komma",
    digitwise=True,
    minus="min",
    to="tot",
    symbols=_pairs("&=en; %=procent; +=plus; ==is; @=at; €=euro; $=dollar; £=pond; ¥=yen; °=graden; ×=keer; #=nummer"),
    abbreviations=_pairs(
        "bijv=bijvoorbeeld; enz=enzovoort; ca=circa; etc=et cetera; m.a.w=met andere woorden; o.a=onder andere; "
        "d.w.z=dat wil zeggen"
    ),
    bare=_pairs("dhr=de heer; mevr=mevrouw; dr=dokter; prof=professor"),
    before_number=_pairs("nr=nummer; blz=bladzijde; p=pagina; art=artikel"),
    months=_NL_MONTHS,
    month_abbreviations=_NL_SHORT,
    units=_units(
        "km=kilometer; m=meter; cm=centimeter; mm=millimeter; kg=kilogram; g=gram; l=liter; km/h=kilometer per uur; "
        "h=uur; "
        "min=minuut/minuten; s=seconde/seconden; °C=graden Celsius; °=graden; %=procent"
    ),
    currencies={
        "€": Currency("euro", "euro", "cent", "cent"),
        "$": Currency("dollar", "dollar", "cent", "cent"),
        "£": Currency("pond", "pond", "penny", "pence"),
    },
    ordinal=r"(\d+)(?:e|de|ste)",
    conjunctions=word_set("en maar of want omdat dat die wanneer terwijl hoewel als toen zodat"),
    time=("{h} uur {m}", "{h} uur"),
    caps_words=word_set("DE HET EEN EN IS JA NEE NIET WAT WIE IK JE WE"),
    numbered=word_set("hoofdstuk deel akte boek"),
    scales=word_set("duizend miljoen miljard"),
    split_fix=word_set("bijv enz ca dhr mevr blz nr"),
)

_PL_MONTHS, _PL_SHORT = _months(
    "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "sty lut mar kwi - cze lip sie wrz paź lis gru",
)
_PL = Language(
    "pl",
    decimal=",",
    thousands=" .",
    point="przecinek",
    minus="minus",
    to="do",
    symbols=_pairs(
        "&=i; %=procent; +=plus; ==równa się; @=małpa; €=euro; $=dolarów; £=funtów; °=stopni; ×=razy; #=numer"
    ),
    abbreviations=_pairs(
        "np=na przykład; itd=i tak dalej; itp=i tym podobne; prof=profesor; ok=około; tzn=to znaczy; tzw=tak zwany; "
        "ul=ulica"
    ),
    bare=_pairs("dr=doktor; mgr=magister"),
    before_number=_pairs("nr=numer; s=strona; str=strona; rys=rysunek; art=artykuł"),
    months=_PL_MONTHS,
    month_abbreviations=_PL_SHORT,
    units=_units(
        "km=kilometr/kilometrów; m=metr/metrów; cm=centymetr/centymetrów; kg=kilogram/kilogramów; g=gram/gramów; "
        "l=litr/litrów; °C=stopni Celsjusza; %=procent"
    ),
    conjunctions=word_set("i a ale lub albo oraz że żeby ponieważ gdy kiedy jeśli choć który która które"),
    day_ordinal=True,
    time=("{h} {m}", "{h}"),
    numbered=word_set("rozdział część tom akt księga"),
    ordinal_stop=True,
    scales=word_set("tysięcy milion milionów miliarda miliardów"),
    split_fix=word_set("np itd itp tzn tzw ul prof ok"),
)

_ZH = Language(
    "zh",
    point="点",
    digitwise=True,
    minus="负",
    to="到",
    symbols=_pairs("&=和; %=百分之; +=加; ==等于; €=欧元; $=美元; £=英镑; ¥=元; °=度; ×=乘; @=艾特"),
    units=_units("km=公里; m=米; cm=厘米; mm=毫米; kg=公斤; g=克; km/h=公里每小时; °C=摄氏度; °=度"),
    currencies={
        "$": Currency("美元", "美元"),
        "€": Currency("欧元", "欧元"),
        "£": Currency("英镑", "英镑"),
        "¥": Currency("元", "元"),
    },
    day_first=False,
    time=("{h}点{m}分", "{h}点"),
)

_KNOWN = {item.code: item for item in (_EN, _DE, _FR, _ES, _IT, _PT, _RU, _NL, _PL, _ZH)}
_DECIMAL_COMMA = word_set(
    "af az be bg bs ca cs cv da el eo et eu fi fo gl hr hu hy id is ka kk lb lt lv mk mn nb nn no ro sk sl sq sr sv "
    "tr uk vi"
)
_SPOKEN_POINT = _pairs(
    "sv=komma; da=komma; no=komma; nb=komma; fi=pilkku; cs=celá; sk=celá; uk=кома; tr=virgül; id=koma; vi=phẩy; "
    "ro=virgulă; "
    "ca=coma; ja=点; ko=점; ar=فاصلة; he=נקודה; hu=egész; th=จุด"
)
_ENGLISH_MONTH_FIRST = ("en", "en-us", "en-ph")
_ALIASES = {"cmn": "zh", "yue": "zh", "nb": "no", "nn": "no", "iw": "he", "in": "id"}


def base(tag: str) -> str:
    """The language of a BCP 47 tag, in lower case: "pt-BR" -> "pt"."""
    code = tag.replace("_", "-").split("-")[0].lower()
    return _ALIASES.get(code, code)


@lru_cache(maxsize=256)
def language_data(tag: str) -> Language:
    """Facts about the language `tag` (BCP 47); never fails."""
    code = base(tag)
    if code == "en":
        return _EN if tag.lower() in _ENGLISH_MONTH_FIRST else replace(_EN, day_first=True)
    if code in _KNOWN:
        return _KNOWN[code]
    comma = code in _DECIMAL_COMMA
    return replace(
        DEFAULT,
        code=code,
        decimal="," if comma else ".",
        thousands=". " if comma else ", ",
        point=_SPOKEN_POINT.get(code, ""),
    )
