# SPDX-License-Identifier: MIT
"""Writes tokenizer_cases.json: texts and the ids that Hugging Face `tokenizers` gives them with Gemma 3's
tokenizer.json, and conversations with the ids of Gemma 3's chat template.

    python3 make_tokenizer_cases.py TOKENIZER_JSON > tokenizer_cases.json     (needs: pip install tokenizers)

"ids": structure stays text. The reference for it is the same tokenizer.json without its special entries, the reserved
`<unusedN>` and the image and [multimodal] marks, since the library matches those in any text. "special_ids", only
where it differs: the unchanged tokenizer.json."""
import json
import random
import re
import sys

from tokenizers import Tokenizer

# Article 1 of the Universal Declaration of Human Rights (United Nations, free to use), first sentence or less.
LANGUAGES = """All human beings are born free and equal in dignity and rights.
Les êtres humains naissent libres et égaux en dignité et en droits.
Alle Menschen sind frei und gleich an Würde und Rechten geboren.
Todos los seres humanos nacen libres e iguales en dignidad y derechos.
Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti.
Todos os seres humanos nascem livres e iguais em dignidade e em direitos.
Alle mensen worden vrij en gelijk in waardigheid en rechten geboren.
Alla människor är födda fria och lika i värde och rättigheter.
Alle mennesker er født frie og med samme menneskeverd.
Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan.
Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.
Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv.
Minden emberi lény szabadon születik és egyenlő méltósága és joga van.
Toate ființele umane se nasc libere și egale în demnitate și în drepturi.
Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar.
Все люди рождаются свободными и равными в своем достоинстве и правах.
Усі люди народжуються вільними і рівними у своїй гідності та правах.
Всички хора се раждат свободни и равни по достойнство и права.
Сва људска бића рађају се слободна и једнака у достојанству и правима.
Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια.
כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.
يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.
تمام افراد بشر آزاد به دنیا می‌آیند و از لحاظ حیثیت و حقوق با هم برابرند.
تمام انسان آزاد اور حقوق و عزت کے اعتبار سے برابر پیدا ہوئے ہیں۔
सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।
সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে।
ਸਾਰਾ ਮਨੁੱਖੀ ਪਰਿਵਾਰ ਆਪਣੀ ਮਹਿਮਾ, ਸ਼ਾਨ ਅਤੇ ਹੱਕਾਂ ਦੇ ਪੱਖੋਂ ਜਨਮ ਤੋਂ ਹੀ ਆਜ਼ਾਦ ਹੈ
પ્રતિષ્ઠા અને અધિકારોની દૃષ્ટિએ સર્વ માનવો જન્મથી સ્વતંત્ર અને સમાન હોય છે.
மனிதப் பிறிவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்
ప్రతిపత్తిస్వత్వముల విషయమున మానవులెల్లరును జన్మతః స్వతంత్రులును సమానులును నగుదురు.
ಎಲ್ಲಾ ಮಾನವರೂ ಸ್ವತಂತ್ರರಾಗಿಯೇ ಜನಿಸಿದ್ದಾರೆ.
മനുഷ്യരെല്ലാവരും തുല്യാവകാശങ്ങളോടും അന്തസ്സോടും സ്വാതന്ത്ര്യത്തോടുംകൂടി ജനിച്ചവരാണ്.
සියලු මනුෂ්‍යයෝ නිදහස්ව උපත ලබා ඇත.
มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ
ມະນຸດທຸກຄົນເກີດມາມີກຽດສັກສີ, ສິດທິ
လူတိုင်းသည် တူညီ လွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့် မွေးဖွားလာသူများ ဖြစ်သည်။
មនុស្សទាំងអស់កើតមកមានសេរីភាពនិងសមភាព
すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。
모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.
人人生而自由，在尊严和权利上一律平等。
人人生而自由，在尊嚴和權利上一律平等。
Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi.
Semua orang dilahirkan merdeka dan mempunyai martabat dan hak-hak yang sama.
Watu wote wamezaliwa huru, hadhi na haki zao ni sawa.
የሰው፡ልጅ፡ሁሉ፡ሲወለድ፡ነጻና፡በክብርና፡በመብትም፡እኩልነት፡ያለው፡ነው።
ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით.
Բոլոր մարդիկ ծնվում են ազատ ու հավասար իրենց արժանապատվությամբ ու իրավունքներով։
Барлық адамдар тумысынан азат және қадір-қасиеті мен кұқықтары тең болып дүниеге келеді.
Хүн бүр төрж мэндлэхэд эрх чөлөөтэй, адилхан нэр төртэй, ижил эрхтэй байдаг.
Allir menn eru bornir frjálsir og jafnir öðrum að virðingu og réttindum.
Rugadh na daoine uilig saor agus comhionann lena chéile i ndínit agus i gcearta.
Genir pawb yn rhydd ac yn gydradd â'i gilydd mewn urddas a hawliau.
Gizon-emakume guztiak aske jaiotzen dira, duintasun eta eskubide berberak dituztela.
Tots els éssers humans neixen lliures i iguals en dignitat i en drets.
Kõik inimesed sünnivad vabadena ja võrdsetena oma väärikuselt ja õigustelt.
Visi cilvēki piedzimst brīvi un vienlīdzīgi savā pašcieņā un tiesībās.
Visi žmonės gimsta laisvi ir lygūs savo orumu ir teisėmis.
Sva ljudska bića rađaju se slobodna i jednaka u dostojanstvu i pravima.
Ang lahat ng tao'y isinilang na malaya at pantay-pantay sa karangalan at mga karapatan.
Gbogbo ènìyàn ni a bí ní òmìnira; iyì àti ẹ̀tọ́ kọ̀ọ̀kan sì dọ́gba.
Bani Aadam dukansu ana haifuwarsu ne a matsayin 'yantattu.
A na-amụ mmadụ nile n'ohere nakwa nha anya ugwu na ikike.
འགྲོ་བ་མིའི་རིགས་རྒྱུད་ཡོངས་ལ་སྐྱེས་ཙམ་ཉིད་ནས་ཆེ་མཐོངས་དང༌།
ᎠᏓᏅᏙ ᏗᎦᎸᏫᏍᏓᏁᏗ
ᐃᓄᓕᒫᑦ ᐊᓂᖅᑎᕆᔪᑦ
އިންސާނުން ޢަމުރު ފާއްޓައިގެންނަނީ""".split("\n")

CODE = [
    "int main(void)\n{\n\tprintf(\"%d\\n\", 1 + 2);\n    return 0; /* end */\n}\n",
    "def f(x, *, y=None):\n    \"\"\"Doc.\"\"\"\n    return [i**2 for i in range(x) if i % 2 == 0]\n",
    "local t = { a = 1, [\"b\"] = 'x' } -- comment\nfor k, v in pairs(t) do print(k .. \"=\" .. v) end\n",
    "SELECT name, COUNT(*) FROM users WHERE age >= 18 GROUP BY name ORDER BY 2 DESC;",
    "{\"name\":\"get_weather\",\"arguments\":{\"location\":\"Tokyo\",\"days\":5,\"ok\":true,\"x\":null}}",
    "FUNCTION_CALL: get_weather_forecast(location=\"Tokyo\", days=5, units='celsius')",
    "<html><body class=\"a\"><p>Hi <b>there</b></p>  <br/> </body></html>",
    "https://example.org/a/b?c=d&e=%20f#g  user@example.org  C:\\Users\\x  1.234e-5  0xDEADBEEF  3,141,592",
    "> </div> > </ ></ x> </b", "#include <stdio.h>\r\n\r\n\r\nvoid f();\r\n", "a\tb\t\tc\t\t\td    e     f",
]
MARKS = ["<start_of_turn>user\nHi<end_of_turn>\n", "<bos>", "a<eos>b", "<pad><unk><mask>", "<unused0> <unused6241>",
         "<start_of_image>", "<end_of_image>", "[multimodal]", "<0x0A>", "</s><s>", "<start_of_turn", "<<bos>>"]
EMOJI = "😀😃🤣🥹👩‍👩‍👧‍👦👨🏽‍💻🏳️‍🌈🇯🇵🇫🇷❤️‍🔥✨🧑🏿‍🚀🫠☕️1️⃣"


def texts():
    rng = random.Random(1)
    out = LANGUAGES + [t.upper() for t in LANGUAGES[::6]] + CODE + MARKS + [EMOJI] + list(EMOJI[:6])
    for n in list(range(1, 34)) + [61, 62, 63, 64]:
        out += [" " * n, "\n" * n, "\t" * n]
        out += ["a" + " " * n + "b", "\r\n" * n] if n % 5 == 0 else []
    out += [chr(c) for c in range(1, 256)] + ["\u00a0", "\u3000x", "\u2028", "\ufeffa", "e\u0301", "\u212b", "\U0010ffff"]
    blanks = " \n\t\r\u00a0\u3000\u200b"
    out += ["".join(rng.choice(blanks) for _ in range(rng.randint(2, 14))) for _ in range(40)]
    letters = "".join(LANGUAGES)
    out += ["".join(rng.choice(letters) for _ in range(rng.randint(3, 30))) for _ in range(60)]
    out += ["ab" * 40, "a" * 200, "=" * 77, "-" * 130, "ha" * 33, "." * 50, "0123456789" * 6, "the " * 50]
    return list(dict.fromkeys(out))


def conversations():
    u, a = "user", "model"
    yield [(u, "Hi")]
    yield [("system", "Be brief."), (u, "Hi")]
    yield [("system", "Be brief.\n"), (u, "Hi")]
    yield [("system", "\nBe brief."), (u, "Hi")]
    yield [("system", ""), (u, "\n\nHi\n\n")]
    yield [(u, "\n\n\n"), (a, " "), (u, "x")]
    for i in range(0, 60, 3):
        yield [("system", LANGUAGES[i]), (u, LANGUAGES[i + 1]), (a, "  " + LANGUAGES[i + 2] + "\n"), (u, CODE[i % len(CODE)])]


def template(messages):
    """Gemma 3's chat template, restated."""
    text, prefix = "<bos>", ""
    for role, content in messages:
        if role == "system":
            prefix = content + "\n\n"
            continue
        text += "<start_of_turn>" + role + "\n" + prefix + content.strip() + "<end_of_turn>\n"
        prefix = ""
    return text + "<start_of_turn>model\n"


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        source = json.load(f)
    special = Tokenizer.from_str(json.dumps(source))
    marks = {"[multimodal]", "<start_of_image>", "<end_of_image>"}
    source["added_tokens"] = [t for t in source["added_tokens"] if not (
        t["special"] or t["content"] in marks or re.fullmatch(r"<unused\d+>|<mask>|<pad>|<bos>|<eos>|<unk>", t["content"]))]
    plain = Tokenizer.from_str(json.dumps(source))
    cases = []
    for text in texts():
        case = {"text": text, "ids": plain.encode(text, add_special_tokens=False).ids}
        other = special.encode(text, add_special_tokens=False).ids
        if other != case["ids"]:
            case["special_ids"] = other
        cases.append(case)
    prompts = [{"messages": [{"role": r, "text": t} for r, t in m],
                "ids": special.encode(template(m), add_special_tokens=False).ids} for m in conversations()]
    about = {
        "source": "ids of Hugging Face tokenizers with Gemma 3's tokenizer.json; texts: own, and Article 1 of the Universal "
                  "Declaration of Human Rights (United Nations)",
        "licence": "texts MIT and free of rights; tokenizer.json under the Gemma terms, not contained here",
        "generator": "make_tokenizer_cases.py"}
    print("{" + ",\n".join("%s:%s" % (json.dumps(k), json.dumps(v)) for k, v in about.items()) + ",")
    for key, rows in (("cases", cases), ("prompts", prompts)):
        print("\"%s\":[" % key)
        print(",\n".join(json.dumps(r, separators=(",", ":"), ensure_ascii=True) for r in rows))
        print("]" + ("," if key == "cases" else "}"))


main()
