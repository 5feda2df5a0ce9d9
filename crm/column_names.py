"""Which field a column of somebody's file holds, by its name in English or Japanese."""

import unicodedata
from collections.abc import Sequence
from typing import Literal

Records = Literal["leads", "contacts"]

# What each field is called. Names are compared without case, blanks, punctuation and width (NFKC): `E-Mail`, `email`
# and `Ｅｍａｉｌ` are one. The field's own name counts too, whole (`lead.url`); so our own exports are understood.
_NAMES: dict[str, tuple[str, ...]] = {
    "lead.id": ("lead id", "リードID", "会社ID", "company id"),
    "lead.name": (
        "company", "company name", "lead", "lead name", "organization", "organisation", "organization name", "account",
        "account name", "business name", "associated company", "会社", "会社名", "企業名", "法人名", "取引先",
        "取引先名", "社名", "組織名",
        "団体名", "貴社名", "御社名", "リード名", "顧客名",
    ),
    "lead.name_kana": (
        "name kana", "company name kana", "company kana", "会社名カナ", "会社名かな", "会社名フリガナ",
        "会社名ふりがな", "企業名カナ", "フリガナ会社名", "カナ会社名", "法人名カナ",
    ),
    "lead.url": (
        "url", "website", "website url", "web site", "web", "homepage", "home page", "company url", "company website",
        "site", "domain", "ウェブサイト", "webサイト", "ホームページ", "サイト", "サイトURL", "会社URL",
        "企業URL", "HP",
    ),
    "lead.description": (
        "lead description", "company description", "company notes", "company note", "about", "会社概要", "企業概要",
        "事業内容", "会社備考", "会社メモ",
    ),
    "lead.status": (
        "status", "lead status", "stage", "lead stage", "status label", "stage slug", "ステータス", "状態", "段階",
        "ステージ", "進捗", "リードステータス", "商談状況",
    ),
    "lead.owner": (
        "owner", "lead owner", "account owner", "contact owner", "company owner", "assigned to", "assignee",
        "sales rep", "owner email", "担当",
        "担当営業", "営業担当", "営業担当者", "所有者", "自社担当者", "弊社担当", "弊社担当者",
    ),
    "lead.phone": (
        "company phone", "company phone number", "main phone", "office phone", "hq phone", "代表電話", "代表電話番号",
        "会社電話", "会社電話番号", "代表番号", "代表TEL", "会社TEL",
    ),
    "lead.email": (
        "company email", "general email", "main email", "代表メール", "代表メールアドレス", "会社メール",
        "会社メールアドレス", "代表email",
    ),
    "lead.industry": ("industry", "sector", "vertical", "business type", "業種", "業界", "業態", "産業"),
    "lead.department": ("department", "division", "部署", "部署名", "部門", "所属", "所属部署", "事業部"),
    "lead.employee_count": (
        "employee count", "employees", "number of employees", "no of employees", "headcount", "company size", "staff",
        "従業員数", "社員数", "従業員", "企業規模",
    ),
    # These take few words. What others call a source or a stage of life holds any: it would fail every row.
    "lead.source_platform": ("source platform",),
    "lead.source_type": ("source type",),
    "lead.lifecycle": ("lifecycle",),
    "lead.lead_line": ("lead line", "buyer or seller"),
    "lead.score": ("score", "lead score", "スコア", "点数"),
    "lead.qualified": ("qualified", "is qualified", "有望", "見込み"),
    "lead.external_id": (
        "external id", "external lead id", "external key", "record id", "crm id", "reference", "legacy id", "外部ID",
        "管理番号", "顧客番号", "顧客コード", "取引先コード", "会社コード", "企業コード",
    ),
    "lead.addresses": (),
    "lead.contacts": (),
    "address.label": ("address label", "address type", "住所種別"),
    "address.address_1": (
        "address", "address 1", "address line 1", "street", "street address", "company address", "billing street",
        "mailing street", "住所", "住所1",
        "所在地", "番地", "町名番地", "本社所在地", "会社住所",
    ),
    "address.address_2": (
        "address 2", "address line 2", "suite", "apartment", "building", "住所2", "建物", "建物名", "ビル名",
        "マンション名",
    ),
    "address.city": ("city", "town", "billing city", "mailing city", "市区町村", "市町村", "市区", "市"),
    "address.state": (
        "state", "province", "region", "prefecture", "county", "state/region", "state/province",
        "billing state/province", "mailing state/province", "都道府県", "県", "府県", "地域",
    ),
    "address.zipcode": (
        "zip", "zipcode", "zip code", "postal code", "post code", "postcode", "zip/postal code",
        "billing zip/postal code", "mailing zip/postal code", "郵便番号", "郵便",
    ),
    "address.country": (
        "country", "country code", "country/region", "billing country", "mailing country", "国", "国名", "国コード",
    ),
    "contact.id": ("contact id", "連絡先ID", "担当者ID", "コンタクトID"),
    "contact.name": (
        "contact", "contact name", "full name", "person", "person name", "contact person", "primary contact", "氏名",
        "お名前", "担当者", "担当者名", "ご担当者", "ご担当者名", "先方担当者", "連絡先", "連絡先名", "コンタクト",
        "コンタクト名", "姓名", "フルネーム",
    ),
    "contact.first_name": (
        "first name", "given name", "forename", "firstname", "contact first name", "名", "ファーストネーム",
    ),
    "contact.last_name": (
        "last name", "surname", "family name", "lastname", "contact last name", "姓", "苗字", "名字", "ラストネーム",
        "担当者姓",
    ),
    "contact.title": (
        "title", "job title", "position", "role", "contact title", "job", "役職", "役職名", "肩書", "肩書き", "職位",
        "職種", "職務",
    ),
    "contact.email": (
        "email", "e-mail", "mail", "email address", "e-mail address", "mail address", "contact email", "work email",
        "business email", "primary email", "personal email", "email 1", "メール", "メールアドレス", "Eメール",
        "Eメールアドレス", "電子メール",
        "電子メールアドレス", "担当者メール", "担当者メールアドレス", "連絡先メール",
    ),
    "contact.phone": (
        "phone", "phone number", "telephone", "telephone number", "tel", "tel no", "mobile", "mobile phone", "cell",
        "cell phone", "mobile number", "contact phone", "work phone", "direct phone", "mobile phone number",
        "business phone", "電話", "電話番号", "TEL番号",
        "携帯", "携帯電話", "携帯番号", "携帯電話番号", "連絡先電話番号", "直通", "直通電話", "担当者電話番号",
    ),
    "contact.emails": (
        "emails", "email addresses", "other emails", "other email", "additional emails", "secondary email", "email 2",
        "その他のメール", "その他メール", "メール2", "メールアドレス2", "サブメール",
    ),
    "contact.phones": (
        "phones", "phone numbers", "other phones", "other phone", "additional phones", "secondary phone", "phone 2",
        "その他の電話", "その他電話", "電話2", "電話番号2",
    ),
    "contact.urls": ("urls", "contact url", "contact urls", "profile url", "連絡先URL", "プロフィールURL"),
    "contact.note": (
        "contact note", "contact notes", "連絡先メモ", "連絡先備考", "担当者備考", "担当者メモ",
    ),
    "contact.external_id": ("external contact id", "contact external id", "担当者コード", "個人コード", "連絡先コード"),
}  # fmt: skip

# Names that mean the record itself, whichever it is.
_OWN_NAMES: dict[str, tuple[str, ...]] = {
    "id": ("id",),
    "name": ("name", "名前", "名称"),
    "description": ("description", "note", "notes", "comment", "comments", "memo", "remarks", "備考", "メモ",
                    "コメント", "摘要", "特記事項"),
    "url": ("url",),
    "external_id": ("external id",),
}  # fmt: skip
_OWN_FIELDS: dict[Records, dict[str, str]] = {
    "leads": {
        "id": "lead.id", "name": "lead.name", "description": "lead.description", "url": "lead.url",
        "external_id": "lead.external_id",
    },
    "contacts": {
        "id": "contact.id", "name": "contact.name", "description": "contact.note", "url": "contact.urls",
        "external_id": "contact.external_id",
    },
}  # fmt: skip
# What the name of a lead is made of where it has none, so never in place of its name.
_ELSE = {"displayname": "lead.name"}
# Where a person has a phone and a mobile phone, the second one is a further number of theirs.
_FURTHER = {"contact.email": "contact.emails", "contact.phone": "contact.phones"}
# Lists of objects have these very names (JSONL, as the API answers); in other files they may be anything.
_EXACT = {"addresses": "lead.addresses", "contacts": "lead.contacts"}

FIELDS = tuple(_NAMES)


def suggest(header: Sequence[str], records: Records = "leads") -> dict[int, str]:
    """The field of each column that is understood, by the column's place from 0 on; each field once, the first wins.
    A second column of addresses or numbers holds further ones of the person.

    A plain `email` or `phone` is a contact's, of leads too; the company's own say so (`company email`, 代表電話).
    """
    found: dict[int, str] = {}
    for place, name in enumerate(header):
        field = _EXACT.get(name) or _FIELD_OF[records].get(_plain(name))
        if field is not None and field not in found.values():
            found[place] = field
    for place, name in enumerate(header):
        field = _ELSE.get(_plain(name)) or _FURTHER.get(_FIELD_OF[records].get(_plain(name), ""))
        if place not in found and field is not None and field not in found.values():
            found[place] = field
    return dict(sorted(found.items()))


def _plain(name: str) -> str:
    return "".join(character for character in unicodedata.normalize("NFKC", name).casefold() if character.isalnum())


def _fields_by_name(records: Records) -> dict[str, str]:
    fields = {_plain(name): field for field, names in _NAMES.items() for name in (field, *names)}
    own = {_plain(name): _OWN_FIELDS[records][word] for word, names in _OWN_NAMES.items() for name in names}
    return {**fields, **own}


_FIELD_OF: dict[Records, dict[str, str]] = {"leads": _fields_by_name("leads"), "contacts": _fields_by_name("contacts")}
