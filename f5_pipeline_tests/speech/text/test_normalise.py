"""What is written and how it is spoken, language by language."""

from __future__ import annotations

import pytest

from f5_pipeline.speech.text.languages import language_data
from f5_pipeline.speech.text.normalise import lone_symbols, read
from f5_pipeline.speech.text.numerals import blank_groups, number_words, parse_number, roman
from f5_pipeline.speech.text.segment import sentences
from f5_pipeline.speech.text.words import written_words


def say(text: str, language: str = "en") -> str:
    data = language_data(language)
    words = written_words(text, lone_symbols(language), blank_groups(data.thousands, data.decimal))
    assert "".join(word.text + word.space for word in words).rstrip() == text
    readings = read(words, language)
    assert len(readings) == len(words)
    assert all(any(char.isalnum() for char in reading.spoken) for reading in readings)
    return " ".join(reading.spoken for reading in readings)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("On Jan. 5th, 2024, it rose.", "On January fifth, twenty twenty-four, it rose."),
        ("in 1999 or the 1990s", "in nineteen ninety-nine or the nineteen nineties"),
        ("1500 people, 12,345 ships", "fifteen hundred people, twelve thousand three hundred and forty-five ships"),
        ("3.4% vs. 2.1%", "three point four percent versus two point one percent"),
        ("$5.20, $1, -$3", "five dollars and twenty cents, one dollar, minus three dollars"),
        ("$5 million, $20k", "five million dollars, twenty thousand dollars"),
        ("£1.01 or 5 €", "one pound and one penny or five euros"),
        ("5 km, 1 kg, 20°C, 3 m²", "five kilometers, one kilogram, twenty degrees Celsius, three square meters"),
        ("at 3:45 p.m. or 3:00", "at three forty-five P M or three o'clock"),
        ("on 2024-01-05 and 05/01/2024", "on January fifth, twenty twenty-four and May first, twenty twenty-four"),
        ("the 5 May", "the fifth of May"),
        ("10–20 km, 1914–1918", "ten to twenty kilometers, nineteen fourteen to nineteen eighteen"),
        ("£5-10m and $1.5-2 million", "five to ten million pounds and one point five to two million dollars"),
        ("9am-5pm, 2:03:59", "nine A M to five P M, two hours, three minutes, fifty-nine seconds"),
        ("(212) 555-0187", "two one two five five five zero one eight seven"),
        (
            "A$12, CHF 200, 50¢, $-5",
            "twelve Australian dollars, two hundred Swiss francs, fifty cents, minus five dollars",
        ),
        ("$20/month, 5'11\", a != b", "twenty dollars a month, five foot eleven, a is not equal to b"),
        ("½ of 1½ and 3/4", "one half of one and a half and three quarters"),
        ("call 555-1234", "call five five five, one two three four"),
        ("+1 555 123 4567", "plus one five five five one two three four five six seven"),
        ("007 and 1.2.3.4", "zero zero seven and one point two point three point four"),
        ("Chapter IV of Henry VIII", "Chapter four of Henry the eighth"),
        ("I met Dr. Smith on St. James St. today", "I met Doctor Smith on Saint James Street today"),
        ("J. R. R. Tolkien, e.g. him, etc.", "J R R Tolkien, for example him, et cetera."),
        ("No. 5, p. 12", "Number five, page twelve"),
        ("No. That is all.", "No. That is all."),
        ("the FBI, NASA, HTML, U.S. CEOs", "the F B I, Nasa, H T M L, U S C E O's"),
        ("the IMF, GIF, SQL, JSON, CEO", "the I M F, G I F, S Q L, Json, C E O"),
        ("in CA. It rained", "in C A. It rained"),
        ("STOP THAT NOW!", "Stop that now!"),
        ("WHAT THE FBI KNEW", "What the F B I knew"),
        ("COVID-19, MP3, R&D", "Covid nineteen, M P three, R and D"),
        ("2 + 2 = 4 & so", "two plus two equals four and so"),
        ("50 % of C++", "fifty percent of C plus plus"),
        ("see https://www.a-b.com/x?y=1.", "see a dash b dot com slash x y equals one."),
        ("mail me@b.org, #DeepSea #1", "mail me at b dot org, hashtag Deep Sea number one"),
        ("“Hello” — he said… (yes) 😀", '"Hello", he said... yes'),
        ("word—word and/or don’t", "word, word and or don't"),
        ("x² word¹ ① Ⅳ", "x squared word one four"),
        ("٣ ３", "three three"),
        ("1️⃣ first 👍🏽", "first"),
        ("What?! No!!! Wait....", "What?! No! Wait..."),
    ],
)
def test_english(written, spoken):
    assert say(written) == spoken


@pytest.mark.parametrize(
    ("language", "written", "spoken"),
    [
        ("en-gb", "05/01/2024", "the fifth of January, twenty twenty-four"),
        ("de", "am 3. Mai, z. B. um 15:45", "am dritten Mai, zum Beispiel um fünfzehn Uhr fünfundvierzig"),
        ("de", "Der 2. Weltkrieg, 1.200,5 km", "Der zweite Weltkrieg, eintausendzweihundert Komma fünf Kilometer"),
        ("de", "3,50 € für Dr. Müller, 5 %", "drei Euro und fünfzig Cent für Doktor Müller, fünf Prozent"),
        ("fr", "Le 1er mai, M. Dupont, 1 200 km", "Le premier mai, Monsieur Dupont, mille deux cents kilomètres"),
        ("es", "El Sr. López, EE. UU., 1.000.000", "El señor López, Estados Unidos, un millón"),
        ("it", "€ 3,50 alle 15:30", "tre euro e cinquanta centesimi alle quindici e trenta"),
        ("pt", "R$ 5,20", "cinco reais e vinte centavos"),
        ("ru", "т. е. 5 км, США", "то есть пять километров, С Ш А"),
        ("nl", "5 km om 15:30", "vijf kilometer om vijftien uur dertig"),
        ("pl", "np. 5 km", "na przykład pięć kilometrów"),
        ("zh", "2024年 5% 3.5元", "二零二四 年 百分之五 三点五 元"),
        ("zh", "苹果CEO", "苹 果 C E O"),
        ("fr", "L'ami de l'ONU et d'Ada à l'UE", "L'ami de l'O N U et d'Ada à l'U E"),
        ("zh", "今天气温是-3到5度，最低-5℃。", "今 天 气 温 是 负三 到 五 度， 最 低 负五摄氏度。"),
        ("zh", "打给13812345678，8:00-17:00，占1/5", "打 给 一三八一二三四五六七八， 八点到十七点， 占 五分之一"),
        ("ja", "気温は-5℃、50%オフ", "気 温 は マイナス摂氏五度、 五十パーセント オ フ"),
        ("cs", "-5 °C a 50 %", "minus pět stupňů Celsia a padesát procent"),
        ("fr", "01.23.45.67.89", "zéro un vingt-trois quarante-cinq soixante-sept quatre-vingt-neuf"),
        ("fr", "9h-17h, le XIXe siècle", "neuf heures à dix-sept heures, le dix-neuvième siècle"),
        ("de", "am 3.10. um 14:30 Uhr", "am dritten zehnten um vierzehn Uhr dreißig"),
        ("de", "Ludwig XIV. aß 1/2 Liter", "Ludwig der Vierzehnte aß einen halben Liter"),
        ("es", "1/2 taza, 1 casa, la 2.ª planta", "media taza, una casa, la segunda planta"),
        ("es", "5 milliones, 1.000.000 €", "cinco milliones, un millón de euros"),
        ("ru", "9 мая 1945 года", "девятого мая тысяча девятьсот сорок пятого года"),
        ("ar", "٣ كتب، نعم؟", "ثلاثة كتب، نعم؟"),
        ("hi", "५ हिन्दी में।", "पाँच हिन्दी में।"),
        ("xx", "5 foo 3.5", "5 foo 3.5"),
    ],
)  # fmt: skip
def test_other_languages(language, written, spoken):
    assert say(written, language) == spoken


def test_grouped_numbers_and_amounts_are_one_word():
    data = language_data("fr")
    words = written_words("il y a 1 234 567 habitants, 3,50 € l'un", (), blank_groups(data.thousands, data.decimal))
    assert [word.text for word in words] == ["il", "y", "a", "1 234 567", "habitants,", "3,50 €", "l'un"]


@pytest.mark.parametrize(
    "odd",
    ["9" * 400, "1.2.3.4.5.6", "1999-2,024", "1999-,5", "1,2,3", "-", "--5", "5--", "$", "$$$5", "€€", "1/0", "0/0",
     "99:99", "2024-99-99",
     "1e10", "٣٫٥", "¼½", "²", "x⁻¹", "Ⅻ", "〇", "五5", "5五", "#", "#1#", "@", "@@", "%%%", "°", "°C",
     "5°", "http://", "www.", "a@b", "U.", "U.S", ".5.", "..5", "1..2", "'", "'90s", "’s",
     "\u0301", "é\u0301\u0301", "\u200d", "🇩🇪", "ℹ️",
     "5️⃣", "İ", "ǅ", "ß", "ﬁ", "㎞", "℃", "™", "𝟓", "𝐀", "￼", "\ue000", "\U0001f468\u200d\U0001f469\u200d\U0001f467"],
)  # fmt: skip
@pytest.mark.parametrize("language", ["en", "de", "ru", "zh", "ja", "th", "hi", "tr", "xx"])
def test_nothing_breaks_it(odd, language):
    say(f"a {odd}", language)
    say(f"{odd} b 5 {odd} {odd}", language)


def test_numbers():
    assert [number_words(n, "zh") for n in (0, 10, 1034, 10005, 100500, 10**8 + 10**4)] == [
        "零", "十", "一千零三十四", "一万零五", "十万零五百", "一亿零一万",
    ]  # fmt: skip
    assert [roman(text) for text in ("IV", "XIX", "XL", "IIII", "MIX", "")] == [4, 19, 40, None, None, None]
    assert number_words(10**20, "en") is None
    assert number_words(5, "xx") is None
    english, german = language_data("en"), language_data("de")
    assert [
        (n.whole, n.fraction) for n in (parse_number("1,234.5", english), parse_number("1.234,5", german)) if n
    ] == [
        ("1234", "5"),
        ("1234", "5"),
    ]
    assert parse_number("1.2.3", english) is None


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("fr", "Le 14 juil. 1789 fut un grand jour."),
        ("fr", "En 52 av. J.-C. il vint, c.-à-d. trop tard, à St. Denis."),
        ("es", "Dijo que la O.N.U. fueron todos en 133 a. C. también."),
        ("de", "Am Montag, 31. Dezember kam der Dipl.-Ing. Meyer inkl. Gepäck mit Hrn. Lang an."),
        ("en", "He lives in Apt. 5 of the house, est. 1999."),
    ],
)
def test_no_sentence_ends_at_an_abbreviation_or_in_a_date(language, text):
    assert sentences(text, language) == [text]
