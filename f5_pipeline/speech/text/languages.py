"""Facts about each language for the normaliser that no library knows: abbreviations, words for a point, a range, a
ratio, acronyms. Months, units, currencies and the names of signs are CLDR's (`cldr`), numbers are num2words2's
(`numerals`), Chinese is wetext's (`chinese`), telephone numbers are libphonenumber's (`telephones`).

A language that is described nowhere here gets `DEFAULT` and what CLDR has.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

from f5_pipeline.speech.text.cldr import months, separators, sign_names


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
        code: language subtag.
        decimal, thousands: the signs in numbers; `thousands` may be several characters, a blank among them. Empty where
            they are CLDR's.
        point: word for the decimal sign, or its forms after one, few and many; `digitwise` reads the decimals digit by
            digit; `tenths` names them, for one and for more.
        minus, to: words for a minus sign and a range.
        symbols: sign -> word, for signs that stand alone, before or inside a word.
        abbreviations: lower case, without the final full stop -> reading; the full stop must be there.
        bare: the same for abbreviations that need no full stop.
        before_number: abbreviations that are expanded only before a number ("No. 5", "p. 12").
        before_name: abbreviations that are expanded only before a capitalised word ("Gen. Lee").
        pairs: abbreviations written as two tokens ("z. B.").
        months: names, January first; month_abbreviations: lower case -> index from 0.
        units: written -> (one, many), read after a number, beyond what CLDR knows.
        currencies: sign -> names; several for more than one are those of CLDR's few, many and other.
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
        ratio, power: words in "3:1" and "10^6".
        fractions: denominator -> (one, many); of a half that agrees with its noun "masculine feminine".
        ordinal_words: words beside which a Roman numeral is an ordinal: "XXI. Jahrhundert".
        split_fix: abbreviations after which no sentence ends, beyond what the segmenter knows.
        score: the word in a score, "2-0", which does not ascend as a range does; None where it is read as a range.
        proportions: words (lower case) before a ratio that is no score.
        fraction_of, denominators: template of a fraction, and the denominators that are not plain numbers in it.
        suffix: regular expression of what is written to a number as an ending, group 1 what is said.
        below_zero: what is said for the minus of a temperature, where it is another word.
        span: template of a span of times with no preposition before it.
        numbers_before: words (lower case) before a telephone number that is written like a great number.
        date: template of a date; date_before: words before "15/8" that say that it is a date.
        cases: word before a number -> its case: g, d, a, i or p (prepositional, locative).
        adjectives: ending of an ordinal -> gender (m, f, n, p for the plural) and case -> ending.
        declined: ending of a cardinal -> its forms in the cases g, d, i and p.
        feminine, neuter: nouns whose gender their ending does not say.
        no_nouns: short words in lower case that are not what is counted where they follow a number.
        year_words: words beside a year; of those shortened, their cases n, g, d, a, i, p.
        decades: "years" -> case, beside "90" a decade.
        scale_forms: shortened "million" -> forms by CLDR's plural category.
        ordinal_hours: hours of the clock are ordinals.
    """

    code: str
    decimal: str = ""
    thousands: str = ""
    point: str = ""
    tenths: tuple[str, ...] = ()
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
    ratio: str = ""
    power: str = ""
    fractions: dict[int, tuple[str, str]] = field(default_factory=dict)
    ordinal_words: frozenset[str] = frozenset()
    score: str | None = None
    proportions: frozenset[str] = frozenset()
    fraction_of: str = ""
    denominators: dict[int, str] = field(default_factory=dict)
    suffix: str = ""
    below_zero: str = ""
    span: str = ""
    numbers_before: frozenset[str] = frozenset()
    date: str = "{day} {month} {year}"
    date_before: frozenset[str] = frozenset()
    cases: dict[str, str] = field(default_factory=dict)
    adjectives: dict[str, dict[str, str]] = field(default_factory=dict)
    declined: dict[str, dict[str, str]] = field(default_factory=dict)
    feminine: frozenset[str] = frozenset()
    neuter: frozenset[str] = frozenset()
    no_nouns: frozenset[str] = frozenset()
    year_words: dict[str, str] = field(default_factory=dict)
    decades: dict[str, str] = field(default_factory=dict)
    scale_forms: dict[str, dict[str, str]] = field(default_factory=dict)
    ordinal_hours: bool = False

    @property
    def declines(self) -> bool:
        """Whether numbers are declined by the rules of `declined`."""
        return bool(self.declined) or self.code == "ru"

    @property
    def joint(self) -> str:
        """What stands between two spoken words."""
        return "" if self.code in ("zh", "ja", "th") else " "


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


def _numbered(text: str) -> dict[int, str]:
    """`4=tư; ...` as a dictionary of numbers."""
    return {int(key): value for key, value in _pairs(text).items()}


def _cases(**words: str) -> dict[str, str]:
    """`g="of from"` as word -> case."""
    return {word: case for case, text in words.items() for word in text.split()}


def _adjectives(text: str) -> dict[str, dict[str, str]]:
    """`y=m y ego emu y ym ym f a ...; ...`: for each ending, a gender and its six cases n g d a i p, four times."""
    table = {}
    for ending, forms in _pairs(text).items():
        words = forms.split()
        table[ending] = {
            words[start] + case: form
            for start in range(0, len(words), 7)
            for case, form in zip("ngdaip", words[start + 1 : start + 7], strict=True)
        }
    return table


def _declined(text: str) -> dict[str, dict[str, str]]:
    """`two=of-two to-two by-two in-two; ...`, or one form for all cases; longest endings first."""
    table = {}
    for ending, forms in sorted(_pairs(text).items(), key=lambda item: -len(item[0])):
        words = forms.split()
        whole = len(ending.split())
        joined = [" ".join(words[start : start + whole]) for start in range(0, len(words), whole)]
        table[ending] = dict(zip("gdip", joined if len(joined) == 4 else joined * 4, strict=True))
    return table


def _forms(text: str) -> dict[str, dict[str, str]]:
    """`mln=one/few/many/other; ...`: forms by CLDR's plural category."""
    return {
        key: dict(zip(("one", "few", "many", "other"), value.split("/"), strict=True))
        for key, value in _pairs(text).items()
    }


_EN = Language(
    "en",
    ratio="to",
    power="to the power of",
    fractions={2: ("half", "halves"), 4: ("quarter", "quarters")},
    ordinal_words=word_set("century centuries dynasty"),
    point="point",
    digitwise=True,
    minus="minus",
    to="to",
    symbols=_pairs(
        "&=and; %=percent; ‰=per mille; +=plus; ==equals; @=at; €=euros; $=dollars; £=pounds; ¥=yen; ₹=rupees; "
        "₽=rubles; °=degrees; ×=times; ÷=divided by; ±=plus or minus; §=section; ≈=approximately; <=less than; "
        "≠=is not equal to; "
        ">=greater than; ≤=at most; ≥=at least; #=number; №=number; "
        "℃=degrees Celsius; ℉=degrees Fahrenheit"
    ),
    abbreviations=_pairs(
        "jr=Junior; sr=Senior; etc=et cetera; e.g=for example; i.e=that is; approx=approximately; inc=Incorporated; "
        "ltd=Limited; co=Company; corp=Corporation; dept=Department; ave=Avenue; blvd=Boulevard; ca=circa; "
        "cf=compare; "
        "viz=namely; a.m=A M; p.m=P M; ph.d=P H D; b.c=B C; a.d=A D; esq=Esquire; misc=miscellaneous; est=established"
    ),
    bare=_pairs(
        "w/o=without; c/o=care of; mr=Mister; mrs=Missus; ms=Miz; dr=Doctor; prof=Professor; vs=versus; "
        "messrs=Messieurs; phd=P H D"
    ),
    before_number=_pairs(
        "no=number; nos=numbers; fig=figure; figs=figures; vol=volume; ch=chapter; p=page; pp=pages; sec=section; "
        "pt=part; c=circa; op=opus; nr=number; art=article"
    ),
    before_name=_pairs(
        "gen=General; col=Colonel; lt=Lieutenant; sgt=Sergeant; capt=Captain; maj=Major; gov=Governor; sen=Senator; "
        "rep=Representative; rev=Reverend; hon=Honorable; pres=President; mt=Mount; ft=Fort; fr=Father; "
        "cmdr=Commander"
    ),
    units=_units(
        "dB=decibel/decibels; rpm=revolution per minute/revolutions per minute; mAh=milliamp hour/milliamp hours; "
        "mpg=mile per gallon/miles per gallon; kbps=kilobit per second/kilobits per second; "
        "Mbps=megabit per second/megabits per second; fps=frame per second/frames per second"
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
        "END BOY DOG CAT EAT FUN CUT PUT SET ACT AGE AIR ARM ART ASK BAR BED BOX CAR CRY DEAD DIE DRY EAR EYE "
        "FAR FEW "
        "FLY GUN HIT ICE JOB JOY KEY KID LAW LEG LIE LOT LOW MAD MOM DAD MIX NOR ODD PAY POP RAW ROW SAD SEA SKY SON "
        "SUN TAX TEA TIE WET"
    ),
    spelled=word_set(
        "UCLA IEEE YMCA YWCA AARP NAACP ISBN HTTP HTTPS HTML USSR NCAA ESPN MSNBC CNBC ASPCA DHCP IMAP SMTP "
        "XHTML IUCN "
        "SEIU UNHCR ICBM IOOF UEFI USAF ACLU AOL ADHD OECD NSAID ISDN AAPL IKEV OEIS UAW IETF IANA IATA ICAO"
    ),
    numbered=word_set(
        "chapter part book volume vol act scene section article appendix war phase type figure table level bowl canto"
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
        "approx no nos fig figs vol pp ca cf apt est eq ed max min dept gen col lt sgt capt maj gov sen rep rev "
        "hon pres mt messrs al"
    ),
)

_DE = Language(
    "de",
    score="zu",
    ratio="zu",
    cases=_cases(d="mit von aus bei nach seit zu ab vom zum beim", n="bleibt fehlt reicht genügt war nur"),
    neuter=word_set("kilogramm gramm milligramm pfund prozent promille kilo jahr grad watt volt byte megabyte"),
    power="hoch",
    fractions={2: ("ein halber|eine halbe", "halbe"), 3: ("Drittel", "Drittel"), 4: ("Viertel", "Viertel")},
    ordinal_words=word_set("jahrhundert jahrhunderts jahrhunderte kapitel"),
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
        "str=Straße; jh=Jahrhundert; mio=Millionen; mrd=Milliarden; sog=sogenannte; geb=geboren; "
        "gest=gestorben; u.s.w=und so weiter; "
        "i.d.r=in der Regel; v.chr=vor Christus; n.chr=nach Christus"
    ),
    bare=_pairs("dr=Doktor; prof=Professor"),
    before_number=_pairs(
        "nr=Nummer; s=Seite; bd=Band; abb=Abbildung; kap=Kapitel; art=Artikel; abs=Absatz; tel=Telefon"
    ),
    before_name=_pairs("st=Sankt; hl=heiliger; hrn=Herrn; ing=Ingenieur"),
    pairs={
        ("z", "b"): ("zum", "Beispiel"),
        ("d", "h"): ("das", "heißt"),
        ("u", "a"): ("unter", "anderem"),
        ("u", "ä"): ("und", "Ähnliches"),
        ("v", "chr"): ("vor", "Christus"),
        ("n", "chr"): ("nach", "Christus"),
        ("o", "ä"): ("oder", "Ähnliches"),
    },
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
    split_fix=word_set("ca bzw vgl evtl ggf nr bd abb kap inkl exkl hrn ing hr fr str mio mrd z d u s tel"),
)

_FR = Language(
    "fr",
    score="à",
    ratio="à",
    power="puissance",
    fractions={
        2: ("un demi|une demi", "demis"),
        3: ("tiers", "tiers"),
        4: ("quart", "quarts"),
        5: ("cinquième", "cinquièmes"),
        8: ("huitième", "huitièmes"),
    },
    ordinal_words=word_set("siècle siècles arrondissement"),
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
    pairs={
        ("p", "ex"): ("par", "exemple"),
        ("av", "j.-c"): ("avant", "Jésus-Christ"),
        ("apr", "j.-c"): ("après", "Jésus-Christ"),
    },
    before_name=_pairs("av=avenue; bd=boulevard; st=saint; ste=sainte"),
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

_ES = Language(
    "es",
    score="a",
    date="{day} de {month} de {year}",
    ratio="a",
    power="elevado a",
    fractions={
        2: ("medio|media", "medios"),
        3: ("tercio", "tercios"),
        4: ("cuarto", "cuartos"),
        5: ("quinto", "quintos"),
        8: ("octavo", "octavos"),
    },
    decimal=",",
    thousands=". ",
    point="coma",
    minus="menos",
    to="a",
    symbols=_pairs(
        "&=y; %=por ciento; +=más; ==igual a; @=arroba; €=euros; $=dólares; £=libras; ¥=yenes; °=grados; ×=por; "
        "<=menor que; >=mayor que; #=número"
    ),
    abbreviations=_pairs(
        "etc=etcétera; p.ej=por ejemplo; aprox=aproximadamente; ud=usted; uds=ustedes; avda=avenida; pza=plaza; "
        "ctra=carretera"
    ),
    bare=_pairs("sr=señor; sra=señora; srta=señorita; dr=doctor; dra=doctora; prof=profesor"),
    before_number=_pairs(
        "p=página; pág=página; núm=número; nº=número; n.º=número; art=artículo; cap=capítulo; vol=volumen"
    ),
    pairs={
        ("ee", "uu"): ("Estados", "Unidos"),
        ("p", "ej"): ("por", "ejemplo"),
        ("a", "c"): ("antes de", "Cristo"),
        ("d", "c"): ("después de", "Cristo"),
    },
    currencies={
        "€": Currency("euro", "euros", "céntimo", "céntimos"),
        "$": Currency("dólar", "dólares", "centavo", "centavos"),
        "£": Currency("libra", "libras", "penique", "peniques"),
    },
    ordinal=r"(\d+)\.?(?:º|ª|er)",
    conjunctions=word_set("y e o u pero sino aunque porque que cuando donde mientras si como pues"),
    time=("{h} {m}", "{h}"),
    caps_words=word_set("EL LA LOS LAS UN UNA DE DEL Y NO SI SÍ QUE ES TU YO"),
    numbered=word_set("capítulo parte tomo acto libro volumen siglo siglos"),
    scales=word_set("mil millones millón"),
    split_fix=word_set("sr sra srta dr dra aprox pág núm ud uds"),
)

_IT = Language(
    "it",
    score="a",
    span="dalle {0} alle {1}",
    ratio="a",
    power="elevato alla",
    fractions={
        2: ("mezzo|mezza", "mezzi"),
        3: ("terzo", "terzi"),
        4: ("quarto", "quarti"),
        5: ("quinto", "quinti"),
        8: ("ottavo", "ottavi"),
    },
    ordinal_words=word_set("secolo secoli"),
    decimal=",",
    thousands=". ",
    point="virgola",
    minus="meno",
    to="—",
    symbols=_pairs(
        "&=e; %=per cento; +=più; ==uguale; @=chiocciola; €=euro; $=dollari; £=sterline; ¥=yen; °=gradi; ×=per; "
        "#=numero"
    ),
    abbreviations=_pairs(
        "ecc=eccetera; a.c=avanti Cristo; d.c=dopo Cristo; es=esempio; ca=circa; avv=avvocato; ing=ingegnere"
    ),
    bare=_pairs("p.zza=piazza; sig=signor; dott=dottor; dr=dottor; prof=professor"),
    before_number=_pairs("p=pagina; pag=pagina; n=numero; art=articolo; cap=capitolo; vol=volume"),
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

_PT = Language(
    "pt",
    score="a",
    date="{day} de {month} de {year}",
    span="das {0} às {1}",
    ratio="para",
    power="elevado a",
    fractions={
        2: ("meio|meia", "meios"),
        3: ("terço", "terços"),
        4: ("quarto", "quartos"),
        5: ("quinto", "quintos"),
        8: ("oitavo", "oitavos"),
    },
    decimal=",",
    thousands=". ",
    point="vírgula",
    minus="menos",
    to="a",
    symbols=_pairs(
        "&=e; %=por cento; +=mais; ==igual a; @=arroba; €=euros; $=dólares; £=libras; ¥=ienes; °=graus; ×=vezes; "
        "#=número"
    ),
    abbreviations=_pairs(
        "etc=et cetera; a.c=antes de Cristo; d.c=depois de Cristo; ex=exemplo; aprox=aproximadamente; "
        "p.ex=por exemplo; av=avenida"
    ),
    bare=_pairs("sr=senhor; sra=senhora; dr=doutor; dra=doutora; prof=professor"),
    before_number=_pairs("p=página; pág=página; nº=número; n=número; art=artigo; cap=capítulo; vol=volume"),
    pairs={("p", "ex"): ("por", "exemplo")},
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
    numbered=word_set("capítulo parte tomo ato livro volume século séculos"),
    scales=word_set("mil milhões milhão bilhões bilhão"),
    split_fix=word_set("sr sra dr dra aprox pág"),
)

_RU = Language(
    "ru",
    ratio="к",
    power="в степени",
    score="",
    proportions=word_set("пропорции соотношении масштабе отношении пропорция соотношение масштаб"),
    cases=_cases(
        g="с со от до из без для после около более больше менее меньше у",
        d="к ко",
        i="между над под перед",
        p="в во на о об при",
    ),
    feminine=word_set("неделе странице книге части группе главе школе половине квартире минуте секунде"),
    neuter=word_set("место число столетие"),
    year_words=_pairs("год=; года=; году=; г=год года году год годом году"),
    decades=_pairs("годы=n; годов=g; годам=d; годами=i; годах=p"),
    scale_forms=_forms(
        "млн=миллион/миллиона/миллионов/миллиона; млрд=миллиард/миллиарда/миллиардов/миллиарда; "
        "тыс=тысяча/тысячи/тысяч/тысячи"
    ),
    fractions={2: ("пол|пол", "вторых"), 3: ("треть", "трети"), 4: ("четверть", "четверти")},
    ordinal_words=word_set("век века веке веков"),
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
    ordinal=r"(\d+)-?(го|ая|ой|ый|ый|ые|ых|ом|ем|й|я|е|му|м|х|ю)",
    conjunctions=word_set("и а но или что чтобы потому когда если хотя как где который которая которые пока"),
    day_ordinal=True,
    time=("{h} {m}", "{h} часов"),
    caps_words=word_set("Я И В НЕ НА ОН МЫ ВЫ ДА НЕТ КАК ЧТО ЭТО ВСЕ"),
    numbered=word_set("глава часть том акт книга"),
    scales=word_set("тысяч миллион миллиона миллионов миллиарда миллиардов млн млрд тыс"),
    split_fix=word_set("т е см ср стр рис гл ул им проф св напр г"),
)

_NL = Language(
    "nl",
    score="",
    ratio="op",
    power="tot de macht",
    fractions={2: ("een halve|een halve", "halven"), 3: ("derde", "derde"), 4: ("kwart", "kwart")},
    ordinal_words=word_set("eeuw"),
    decimal=",",
    thousands=". ",
    point="komma",
    digitwise=True,
    minus="min",
    to="tot",
    symbols=_pairs("&=en; %=procent; +=plus; ==is; @=at; €=euro; $=dollar; £=pond; ¥=yen; °=graden; ×=keer; #=nummer"),
    abbreviations=_pairs(
        "mln=miljoen; mld=miljard; bijv=bijvoorbeeld; enz=enzovoort; ca=circa; etc=et cetera; "
        "m.a.w=met andere woorden; o.a=onder andere; "
        "d.w.z=dat wil zeggen"
    ),
    bare=_pairs("dhr=de heer; mevr=mevrouw; dr=dokter; prof=professor"),
    before_number=_pairs("nr=nummer; blz=bladzijde; p=pagina; art=artikel"),
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
    scales=word_set("duizend miljoen miljard mln mld"),
    split_fix=word_set("bijv enz ca dhr mevr blz nr"),
)

_PL = Language(
    "pl",
    ratio="do",
    power="do potęgi",
    score="",
    proportions=word_set("proporcji proporcja stosunku stosunek skali skala"),
    ordinal_hours=True,
    numbers_before=word_set("numer telefon telefonu tel nr"),
    cases=_cases(
        g="od do bez z ze u dla około koło oprócz", d="ku dzięki", i="między nad pod przed", p="w we na o po przy"
    ),
    adjectives=_adjectives(
        "y=m y ego emu y ym ym f a ej ej ą ą ej n e ego emu e ym ym p e ych ym e ymi ych; "
        "i=m i iego iemu i im im f ia iej iej ią ią iej n ie iego iemu ie im im p ie ich im ie imi ich; "
        "gi=m gi giego giemu gi gim gim f ga giej giej gą gą giej n gie giego giemu gie gim gim "
        "p gie gich gim gie gimi gich"
    ),
    declined=_declined(
        "jeden=jednego jednemu jednym jednym; jedna=jednej jednej jedną jednej; dwa=dwóch dwóm dwoma dwóch; "
        "dwie=dwóch dwóm dwoma dwóch; trzy=trzech trzem trzema trzech; cztery=czterech czterem czterema czterech; "
        "pięć=pięciu; sześć=sześciu; siedem=siedmiu; osiem=ośmiu; dziewięć=dziewięciu; dziesięć=dziesięciu; "
        "naście=nastu; dwadzieścia=dwudziestu; trzydzieści=trzydziestu; czterdzieści=czterdziestu; "
        "dziesiąt=dziesięciu; dwanaście=dwunastu; sto=stu; "
        "dwieście=dwustu; trzysta=trzystu; czterysta=czterystu; set=uset; "
        "tysiąc=tysiąca"
    ),
    feminine=word_set("klasie stronie części godzinie grupie szkole książce połowie minucie sekundzie"),
    neuter=word_set("miejsce piętro stulecie"),
    year_words=_pairs("rok=; roku=; r=rok roku rokowi rok rokiem roku"),
    decades=_pairs("lata=n; lat=g; latom=d; latami=i; latach=p"),
    scale_forms=_forms("mln=milion/miliony/milionów/miliona; mld=miliard/miliardy/miliardów/miliarda"),
    currencies={
        "zł": Currency("złoty", "złote|złotych|złotego", "grosz", "grosze|groszy|grosza"),
    },
    fractions={2: ("pół|pół", "drugie"), 3: ("trzecia", "trzecie"), 4: ("czwarta", "czwarte")},
    ordinal_words=word_set("wiek wieku wieki"),
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
    conjunctions=word_set("i a ale lub albo oraz że żeby ponieważ gdy kiedy jeśli choć który która które"),
    day_ordinal=True,
    time=("{h} {m}", "{h}"),
    numbered=word_set("rozdział część tom akt księga"),
    ordinal_stop=True,
    scales=word_set("tysięcy milion miliony milionów miliarda miliardów mln mld"),
    split_fix=word_set("np itd itp tzn tzw ul prof ok"),
)

_ZH = Language(
    "zh",
    score="比",
    point="点",
    digitwise=True,
    minus="负",
    to="到",
    symbols=_pairs("&=和; %=百分之; +=加; ==等于; €=欧元; $=美元; £=英镑; ¥=元; °=度; ×=乘; @=艾特"),
    currencies={
        "$": Currency("美元", "美元"),
        "€": Currency("欧元", "欧元"),
        "£": Currency("英镑", "英镑"),
        "¥": Currency("元", "元"),
    },
    day_first=False,
    time=("{h}点{m}分", "{h}点"),
)

_JA = Language(
    "ja",
    score="対",
    fraction_of="{bottom}分の{top}",
    ratio="対",
    power="の",
    point="点",
    digitwise=True,
    minus="マイナス",
    to="から",
    symbols=_pairs(
        "&=アンド; %=パーセント; +=プラス; ==イコール; ×=かける; ÷=割る; €=ユーロ; $=ドル; "
        "£=ポンド; ¥=円; °=度; @=アット"
    ),
    currencies={
        "$": Currency("ドル", "ドル"),
        "€": Currency("ユーロ", "ユーロ"),
        "£": Currency("ポンド", "ポンド"),
        "¥": Currency("円", "円"),
    },
    day_first=False,
    time=("{h}時{m}分", "{h}時"),
)

_CS = Language(
    "cs",
    point="celá|celé|celých",
    minus="minus",
    to="až",
    symbols=_pairs("+=plus; ×=krát; ==rovná se"),
    time=("{h} {m}", "{h}"),
    ratio="ku",
    score="",
    proportions=word_set("poměru poměr měřítku měřítko"),
    day_ordinal=True,
    ordinal_stop=True,
    cases=_cases(
        g="od do z ze bez u kolem okolo podle během", d="k ke", i="mezi nad pod před s se", p="v ve na o po při"
    ),
    adjectives=_adjectives(
        "ý=m ý ého ému ý ým ém f á é é ou ou é n é ého ému é ým ém p é ých ým é ými ých; "
        "í=m í ího ímu í ím ím f í í í í í í n í ího ímu í ím ím p í ích ím í ími ích"
    ),
    declined=_declined(
        "jeden=jednoho jednomu jedním jednom; jedna=jedné jedné jednou jedné; dva=dvou dvěma dvěma dvou; "
        "tři=tří třem třemi třech; čtyři=čtyř čtyřem čtyřmi čtyřech; devět=devíti; deset=deseti; sto=sta stu stem stu; "
        "dvě stě=dvou set; ět=ěti; est=esti; sedm=sedmi; osm=osmi; náct=nácti; cet=ceti; sát=sáti"
    ),
    decades=_pairs("léta=n; let=g; letům=d; lety=i; letech=p"),
    feminine=word_set(
        "kniha knihy knize třída třídy třídě strana straně hodina hodiny hodině část části kapitola kapitole"
    ),
    neuter=word_set("patro patře patra místo místě místa století"),
    fractions={2: ("půl|půl", "poloviny"), 3: ("třetina", "třetiny"), 4: ("čtvrtina", "čtvrtiny")},
    abbreviations=_pairs("např=například; atd=a tak dále; apod=a podobně; tj=to jest; tzv=takzvaný"),
    scale_forms=_forms("mil=milion/miliony/milionu/milionů; mld=miliarda/miliardy/miliardy/miliard"),
    scales=word_set("tisíc milion miliony milionů miliarda miliard mil mld"),
    ordinal_words=word_set("století"),
)

_DA = Language(
    "da",
    point="komma",
    minus="minus",
    to="til",
    symbols=_pairs("+=plus; ==er lig med; &=og"),
    time=("{h} {m}", "{h}"),
    ratio="til",
    day_ordinal=True,
    ordinal_stop=True,
    abbreviations=_pairs("f.eks=for eksempel; osv=og så videre; bl.a=blandt andet; ca=cirka; kl=klokken"),
)

_NO = Language(
    "no",
    point="komma",
    minus="minus",
    to="til",
    symbols=_pairs("+=pluss; ==er lik; &=og"),
    time=("{h} {m}", "{h}"),
    ratio="til",
    day_ordinal=True,
    ordinal_stop=True,
    abbreviations=_pairs("f.eks=for eksempel; osv=og så videre; bl.a=blant annet; ca=cirka; kl=klokken"),
)

_SV = Language(
    "sv",
    point="komma",
    minus="minus",
    to="till",
    symbols=_pairs("+=plus; ==är lika med; &=och"),
    time=("{h} {m}", "{h}"),
    ratio="till",
    suffix=r"-(tal|talet|talets|talen)",
    numbered=word_set(
        "kapitel del version nummer sida steg bok fas nivå typ vecka klass avsnitt punkt bild tabell akt scen"
    ),
    no_nouns=word_set("och men eller som att när om är var har kan blev i på av till för med från så vid där"),
    neuter=word_set(
        "hus år barn bord rum ord land djur träd äpple glas kilo ton paket brev foto sekel tåg fönster exemplar par "
        "stycke gram kilogram milligram"
    ),
    ordinal=r"(\d+):(?:e|a)",
    day_ordinal=True,
    fractions={
        2: ("en halv|en halv", "halva"),
        3: ("tredjedel", "tredjedelar"),
        4: ("fjärdedel", "fjärdedelar"),
    },
    abbreviations=_pairs(
        "osv=och så vidare; t.ex=till exempel; bl.a=bland annat; dvs=det vill säga; ca=cirka; kl=klockan"
    ),
    before_number=_pairs("kl=klockan; s=sidan; nr=nummer"),
    bare=_pairs("mkr=miljoner kronor"),
    scales=word_set("miljon miljoner miljard miljarder"),
)

_FI = Language(
    "fi",
    point="pilkku",
    minus="miinus",
    symbols=_pairs("&=ja; ==on"),
    time=("{h} {m}", "{h}"),
    abbreviations=_pairs("esim=esimerkiksi; jne=ja niin edelleen; ym=ynnä muuta"),
)

_HU = Language(
    "hu",
    point="egész",
    minus="mínusz",
    symbols=_pairs("+=plusz; ==egyenlő; &=és"),
    time=("{h} óra {m}", "{h} óra"),
    ordinal_stop=True,
    abbreviations=_pairs("pl=például; stb=és a többi"),
)

_UK = Language(
    "uk",
    point="ціла|цілих|цілих",
    tenths=("десята|десятих", "сота|сотих", "тисячна|тисячних"),
    minus="мінус",
    to="—",
    symbols=_pairs("+=плюс; ==дорівнює; ×=на; &=і"),
    time=("{h} {m}", "{h}"),
    ordinal_hours=True,
    ratio="до",
    score="",
    proportions=word_set("пропорції співвідношенні масштабі пропорція співвідношення масштаб"),
    day_ordinal=True,
    ordinal=r"(\d+)-?(го|му|ій|им|ти|й|я|а|ша|га|тя|та|е|є|х|м|і)",
    cases=_cases(
        g="з із від до без для після близько понад більше менше біля у",
        d="к",
        i="між над під перед",
        p="у в на о об при",
    ),
    adjectives=_adjectives(
        "ий=m ий ого ому ий им ому f а ої ій у ою ій n е ого ому е им ому p і их им і ими их; "
        "ій=m ій ього ьому ій ім ьому f я ьої ій ю ьою ій n є ього ьому є ім ьому p і іх ім і іми іх"
    ),
    declined=_declined(
        "один=одного одному одним одному; одна=однієї одній однією одній; два=двох двом двома двох; "
        "дві=двох двом двома двох; три=трьох трьом трьома трьох; чотири=чотирьох чотирьом чотирма чотирьох; "
        "шість=шести; сім=семи; вісім=восьми; сорок=сорока; дев'яносто=дев'яноста; сто=ста; двісті=двохсот; "
        "триста=трьохсот; чотириста=чотирьохсот; десят=десяти; ять=яти; цять=цяти"
    ),
    feminine=word_set("книга книги книзі година годині години частина частині сторінка сторінці річниця група групі"),
    neuter=word_set("місце місця місці століття столітті число"),
    year_words=_pairs("рік=; року=; році=; р=рік року року рік роком році"),
    decades=_pairs("роки=n; років=g; рокам=d; роками=i; роках=p"),
    fractions={2: ("пів|пів", "других"), 3: ("третина", "третини"), 4: ("чверть", "чверті")},
    abbreviations=_pairs("ін=інше; тис=тисяч; напр=наприклад; млн=мільйонів; млрд=мільярдів; р=року"),
    bare=_pairs("млн=мільйонів; млрд=мільярдів"),
    pairs={("т", "д"): ("так", "далі"), ("т", "п"): ("тому", "подібне")},
    scale_forms=_forms("млн=мільйон/мільйони/мільйонів/мільйона; млрд=мільярд/мільярди/мільярдів/мільярда"),
    scales=word_set("тисяч мільйон мільйони мільйонів мільярд мільярдів млн млрд"),
    ordinal_words=word_set("століття столітті"),
)

_TR = Language(
    "tr",
    point="virgül",
    minus="eksi",
    to="—",
    symbols=_pairs("+=artı; ×=çarpı; ==eşittir; &=ve"),
    time=("{h} {m}", "{h}"),
    score="",
    suffix=r"['’]([^\W\d]+)",
    fractions={2: ("yarım|yarım", "ikide")},
    fraction_of="{bottom} {top}",
    denominators=_numbered(
        "2=ikide; 3=üçte; 4=dörtte; 5=beşte; 6=altıda; 7=yedide; 8=sekizde; 9=dokuzda; 10=onda; 20=yirmide; 100=yüzde"
    ),
    ordinal_stop=True,
    ordinal_words=word_set("yüzyıl yüzyılda yüzyılın yüzyıla"),
    abbreviations=_pairs("vb=ve benzeri; vs=ve saire; örn=örneğin"),
    bare=_pairs("dr=Doktor; prof=Profesör"),
    units=_units("km/sa=kilometre bölü saat"),
    currencies={
        "TL": Currency("lira", "lira", "kuruş", "kuruş"),
        "₺": Currency("lira", "lira", "kuruş", "kuruş"),
        "$": Currency("dolar", "dolar", "sent", "sent"),
        "€": Currency("avro", "avro", "sent", "sent"),
    },
    scales=word_set("bin milyon milyar"),
)

_VIETNAMESE = ("một", "hai", "ba", "tư", "năm", "sáu", "bảy", "tám", "chín")

_VI = Language(
    "vi",
    point="phẩy",
    minus="âm",
    to="đến",
    symbols=_pairs("+=cộng; ==bằng; ×=nhân; &=và"),
    time=("{h} giờ {m}", "{h} giờ"),
    date="{day} {month} năm {year}",
    date_before=word_set("ngày"),
    months=tuple(f"tháng {name}" for name in (*_VIETNAMESE, "mười", "mười một", "mười hai")),
    score="",
    fraction_of="{top} phần {bottom}",
    denominators=_numbered("4=tư"),
    abbreviations=_pairs("tp=Thành phố; ts=Tiến sĩ; gs=Giáo sư"),
    currencies={
        "đ": Currency("đồng", "đồng"),
        "₫": Currency("đồng", "đồng"),
        "$": Currency("đô la", "đô la"),
    },
    scales=word_set("nghìn ngàn triệu tỷ tỉ"),
    numbered=word_set("kỷ kỉ"),
)

_ID = Language(
    "id",
    point="koma",
    minus="minus",
    to="sampai",
    symbols=_pairs("+=tambah; ==sama dengan; &=dan"),
    time=("{h} {m}", "{h}"),
    ratio="banding",
    score="",
    ordinal=r"ke-(\d+)",
    fractions={
        2: ("setengah|setengah", "setengah"),
        3: ("sepertiga|sepertiga", "pertiga"),
        4: ("seperempat|seperempat", "perempat"),
    },
    abbreviations=_pairs("jl=Jalan; no=nomor; dll=dan lain-lain; dr=Doktor"),
    units=_units("km/jam=kilometer per jam"),
    currencies={"Rp": Currency("rupiah", "rupiah"), "$": Currency("dolar", "dolar", "sen", "sen")},
    scales=word_set("ribu juta miliar triliun"),
    numbered=word_set("abad bab jilid"),
)

_KO = Language(
    "ko",
    point="점",
    minus="마이너스",
    below_zero="영하",
    to="에서",
    symbols=_pairs("%=퍼센트; +=더하기; ==는; &=앤드"),
    time=("{h} 시 {m} 분", "{h} 시"),
    ratio="대",
    score="대",
    suffix=r"([가-힣]+)",
    fraction_of="{bottom}분의 {top}",
    digitwise=True,
    currencies={
        "$": Currency("달러", "달러"),
        "€": Currency("유로", "유로"),
        "£": Currency("파운드", "파운드"),
        "¥": Currency("엔", "엔"),
        "₩": Currency("원", "원"),
    },
    scales=word_set("만 억 조"),
)

_HI = Language(
    "hi",
    point="दशमलव",
    digitwise=True,
    minus="माइनस",
    to="से",
    symbols=_pairs("+=प्लस"),
    time=("{h} बजकर {m} मिनट", "{h} बजे"),
    score="",
    fractions={2: ("आधा|आधा", "आधे"), 3: ("तिहाई", "तिहाई"), 4: ("चौथाई", "चौथाई")},
    units=_units("किमी=किलोमीटर; किग्रा=किलोग्राम; मी=मीटर; सेमी=सेंटीमीटर"),
    bare=_pairs("डॉ=डॉक्टर"),
    scales=word_set("लाख करोड़ हज़ार"),
)

_AR = Language(
    "ar",
    point="فاصلة",
    minus="سالب",
    to="إلى",
    symbols=_pairs("%=بالمئة; +=زائد; ==يساوي"),
    units=_units("°C=درجة مئوية/درجات مئوية|درجة مئوية; ℃=درجة مئوية/درجات مئوية|درجة مئوية"),
    time=("{h} و{m}", "{h}"),
    cases=_cases(g="في من إلى حتى عام سنة العام بنسبة قبل بعد منذ عن على نحو حوالي بين"),
    date="{day} من {month} {year}",
    ratio="مقابل",
    score="مقابل",
    fractions={
        2: ("نصف|نصف", "أنصاف"),
        3: ("ثلث|ثلث", "أثلاث"),
        4: ("ربع|ربع", "أرباع"),
        5: ("خمس|خمس", "أخماس"),
    },
    abbreviations=_pairs("د=الدكتور"),
    scales=word_set("ملايين مليون مليار مليارات ألف آلاف"),
)

_KNOWN = {
    item.code: item
    for item in (
        *(_EN, _DE, _FR, _ES, _IT, _PT, _RU, _NL, _PL, _ZH, _JA, _CS, _DA, _NO, _SV, _FI, _HU, _UK, _TR, _VI, _ID),
        *(_KO, _HI, _AR),
        Language("sk", point="celá", minus="mínus", to="až"),
        Language("ro", point="virgulă", minus="minus", to="până la"),
        Language("ca", point="coma", minus="menys", to="a"),
        Language("he", point="נקודה", minus="מינוס", to="עד"),
        Language("th", point="จุด", minus="ลบ", to="ถึง"),
        Language("el", point="κόμμα", minus="μείον", to="έως"),
        Language("bg", minus="минус", to="до"),
        Language("hr", minus="minus", to="do"),
    )
}


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
    known = _KNOWN.get(code) or Language(code)
    decimal, thousands = separators(code)
    names, spellings = months(code)
    return replace(
        known,
        decimal=known.decimal or decimal,
        thousands=known.thousands or thousands + (" " if decimal == "," and " " not in thousands else ""),
        day_first=known.day_first or (code == "en" and tag.lower() not in _ENGLISH_MONTH_FIRST),
        symbols={**sign_names(code), **known.symbols},
        months=known.months or names,
        month_abbreviations=spellings,
    )
