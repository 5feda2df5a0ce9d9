"""What files call countries: their codes of two letters (ISO 3166-1) by names in English, Japanese and their own."""

_NAMES = """
AE United Arab Emirates|UAE|アラブ首長国連邦
AR Argentina|アルゼンチン
AT Austria|オーストリア
AU Australia|オーストラリア
BE Belgium|ベルギー
BG Bulgaria|ブルガリア
BR Brazil|ブラジル
CA Canada|カナダ
CH Switzerland|スイス
CL Chile|チリ
CN China|PRC|中国
CO Colombia|コロンビア
CZ Czech Republic|Czechia|チェコ
DE Germany|Deutschland|ドイツ
DK Denmark|デンマーク
EE Estonia|エストニア
EG Egypt|エジプト
ES Spain|España|スペイン
FI Finland|フィンランド
FR France|フランス
GB United Kingdom|UK|U.K.|Great Britain|England|Scotland|Wales|Northern Ireland|イギリス|英国
GR Greece|ギリシャ
HK Hong Kong|香港
HR Croatia|クロアチア
HU Hungary|ハンガリー
ID Indonesia|インドネシア
IE Ireland|アイルランド
IL Israel|イスラエル
IN India|インド
IT Italy|Italia|イタリア
JP Japan|日本|日本国
KR South Korea|Korea|Republic of Korea|韓国
LT Lithuania|リトアニア
LU Luxembourg|ルクセンブルク
LV Latvia|ラトビア
MX Mexico|México|メキシコ
MY Malaysia|マレーシア
NL Netherlands|The Netherlands|オランダ
NO Norway|ノルウェー
NZ New Zealand|ニュージーランド
PE Peru|ペルー
PH Philippines|フィリピン
PK Pakistan|パキスタン
PL Poland|ポーランド
PT Portugal|ポルトガル
RO Romania|ルーマニア
RS Serbia|セルビア
RU Russia|Russian Federation|ロシア
SA Saudi Arabia|サウジアラビア
SE Sweden|スウェーデン
SG Singapore|シンガポール
SI Slovenia|スロベニア
SK Slovakia|スロバキア
TH Thailand|タイ
TR Turkey|Türkiye|トルコ
TW Taiwan|台湾
UA Ukraine|ウクライナ
US USA|U.S.A.|U.S.|United States|United States of America|America|アメリカ|アメリカ合衆国|米国
VN Vietnam|Viet Nam|ベトナム
ZA South Africa|南アフリカ
"""

# By name, case folded.
COUNTRIES: dict[str, str] = {
    name.casefold(): line[:2] for line in _NAMES.strip().splitlines() for name in line[3:].split("|")
}
