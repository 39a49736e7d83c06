package xmlrpc

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

// inCall is a call with one parameter, whose <value> is given.
func inCall(value string) string {
	return `<?xml version="1.0"?><methodCall><methodName>m</methodName><params><param>` + value + `</param></params></methodCall>`
}

// decodeText decodes a copy of a document.
func decodeText(doc string) (call, error) { return new(decoder).decode([]byte(doc)) }

func TestValue(t *testing.T) {
	list := func(v ...any) []any { return append([]any{}, v...) }
	tests := []struct {
		value string
		want  any
	}{
		{"<int>5</int>", 5},
		{"<i4>-5</i4>", -5},
		{fmt.Sprintf("<i8>%d</i8>", math.MaxInt), math.MaxInt},
		{"<int>2000000000</int>", 2_000_000_000},
		{"<int>+5</int>", 5},
		{"<int> 5\n</int>", 5},
		{"\n <int>5</int>\t", 5},
		{"<boolean>1</boolean>", true},
		{"<boolean>0</boolean>", false},
		{"<double>-1.5</double>", double(-1.5)},
		{"<double>1e+20</double>", double(1e20)},
		{"<double>5</double>", double(5)},
		{"<string>a</string>", "a"},
		{"<string> a\n</string>", " a\n"},
		{"<string></string>", ""},
		{"<string/>", ""},
		{"<string />", ""},
		{"text", "text"},
		{" text\n", " text\n"},
		{"", ""},
		{" ", " "},
		{"<string>ü€😀</string>", "ü€😀"},
		{"<string>&lt;&gt;&amp;&apos;&quot;</string>", `<>&'"`},
		{"<string>a&#10;b&#xfc;&#x1F600;&#13;</string>", "a\nbü😀\r"},
		{"<string>a\r\nb\rc\r</string>", "a\nb\nc\n"},
		{"<string>a<![CDATA[<b>&amp;]]>c<!-- - d <e> -->&#102;</string>", "a<b>&amp;cf"},
		{"<string><![CDATA[]]]]><![CDATA[>]]></string>", "]]>"},
		{"a<!-- b -->c", "ac"},
		{"<!-- 5 --><int><!-- 5 -->5</int><!-- 5 -->", 5},
		{"<dateTime.iso8601>19980717T14:08:55</dateTime.iso8601>", dateTime("19980717T14:08:55")},
		{"<dateTime.iso8601>2030-01-02T03:04:05Z</dateTime.iso8601>", dateTime("2030-01-02T03:04:05Z")},
		{"<base64>AP8=</base64>", []byte{0, 255}},
		{"<base64>\nAP\n 8=\n</base64>", []byte{0, 255}},
		{"<base64/>", []byte{}},
		{"<nil/>", nil},
		{"<nil></nil>", nil},
		{"<array><data><value>a</value> <value><int>5</int></value></data></array>", list("a", 5)},
		{"<array><data/></array>", list()},
		{"<array>\n<data>\n</data>\n</array>", list()},
		{"<array><data><value><array><data><value>a</value></data></array></value><value>b</value></data></array>", list(list("a"), "b")},
		{"<struct/>", structure{}},
		{"<struct><member><name>a</name><value>b</value></member><member><name>a</name><value><struct><member><name></name><value/></member></struct></value></member></struct>",
			structure{{"a", "b"}, {"a", structure{{"", ""}}}}},
		{"<struct><member><name>&lt;a&gt;<![CDATA[ & ]]>b</name><value/></member></struct>", structure{{"<a> & b", ""}}},
		{`<int xmlns:x = "&amp;>" b='"'>5</int >`, 5},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			c, err := decodeText(inCall("<value>" + tt.value + "</value>"))
			if want := []any{tt.want}; err != nil || !reflect.DeepEqual(c.params, want) {
				t.Errorf("got %#v and %v, want %#v", c.params, err, want)
			}
		})
	}
}

func TestRefusedValue(t *testing.T) {
	tests := []struct {
		value string
		want  error
	}{
		{"<int/>", errRequest},
		{"<int>five</int>", errRequest},
		{"<int>5.0</int>", errRequest},
		{"<int>5 5</int>", errRequest},
		{"<int>0x5</int>", errRequest},
		{"<int>9223372036854775808</int>", errRequest},
		{"<i2>5</i2>", errRequest},
		{"<boolean>true</boolean>", errRequest},
		{"<boolean/>", errRequest},
		{"<double>NaN</double>", errRequest},
		{"<double>-inf</double>", errRequest},
		{"<double>1e999</double>", errRequest},
		{"<double>0x1p-2</double>", errRequest},
		{"<double>1_0</double>", errRequest},
		{"<double/>", errRequest},
		{"<dateTime.iso8601>yesterday</dateTime.iso8601>", errRequest},
		{"<base64>AP8</base64>", errRequest},
		{"<base64>?</base64>", errRequest},
		{"<nil>x</nil>", errRequest},
		{"<array/>", errRequest},
		{"<array><value>a</value></array>", errRequest},
		{"<array><data>a</data></array>", errRequest},
		{"<array><data><int>5</int></data></array>", errRequest},
		{"<array><data></data><data></data></array>", errRequest},
		{"<struct>a</struct>", errRequest},
		{"<struct><member/></struct>", errRequest},
		{"<struct><member><value/><name/></member></struct>", errRequest},
		{"<struct><member><name>a</name></member></struct>", errRequest},
		{"<struct><member><name>a</name><value/><value/></member></struct>", errRequest},
		{"<struct><member><name><b/></name><value/></member></struct>", errRequest},
		{"<struct><value/></struct>", errRequest},
		{"a<int>5</int>", errRequest},
		{"<int>5</int>a", errRequest},
		{"<int>5</int><int>5</int>", errRequest},
		{"<int><b>5</b></int>", errRequest},
		{"<INT>5</INT>", errRequest},

		{"<int>5</i4>", errMalformed},
		{"<int>5", errMalformed},
		{"<>", errMalformed},
		{"< int>5</int>", errMalformed},
		{"<int/5>", errMalformed},
		{"</int>", errMalformed},
		{"<int a>5</int>", errMalformed},
		{"<int a=b>5</int>", errMalformed},
		{"<int a='b>5</int>", errMalformed},
		{"<int a='&b;'>5</int>", errMalformed},
		{"<int a='<'>5</int>", errMalformed},
		{"<int'a=b'>5</int>", errMalformed},
		{"<int>5</int a='b'>", errMalformed},
		{"a & b", errMalformed},
		{"&nbsp;", errMalformed},
		{"&;", errMalformed},
		{"&amp", errMalformed},
		{"&#0;", errMalformed},
		{"&#8;", errMalformed},
		{"&#xD800;", errMalformed},
		{"&#xFFFE;", errMalformed},
		{"&#x110000;", errMalformed},
		{"&#99999999999;", errMalformed},
		{"&#-5;", errMalformed},
		{"&#;", errMalformed},
		{"&x41;", errMalformed},
		{"a ]]> b", errMalformed},
		{"&amp; ]]> b", errMalformed},
		{"<![CDATA[ a", errMalformed},
		{"<![cdata[a]]>", errMalformed},
		{"<!-- a", errMalformed},
		{"<!-- a -- b -->", errMalformed},
		{"<!-- a --->", errMalformed},
		{"<?php echo 5 ?>", errMalformed},
		{"<!ENTITY a 'b'>", errMalformed},
		{"a\x00", errMalformed},
		{"a\x1b", errMalformed},
		{"a\xff", errMalformed},
		{"a\xc3", errMalformed},
		{"\xed\xa0\x80", errMalformed},
		{"\xc0\xbc", errMalformed},
		{"\uFFFE", errMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			if c, err := decodeText(inCall("<value>" + tt.value + "</value>")); !errors.Is(err, tt.want) {
				t.Errorf("got %#v and %v, want %v", c.params, err, tt.want)
			}
		})
	}
}

func TestDocument(t *testing.T) {
	const m = "<methodCall><methodName>m</methodName>"
	tests := []struct {
		name   string
		doc    string
		method string
		params []any
		err    error
	}{
		{"no parameters", m + "</methodCall>", "m", nil, nil},
		{"no parameter", m + "<params/></methodCall>", "m", nil, nil},
		{"two parameters", m + "<params><param><value>a</value></param><param><value/></param></params></methodCall>", "m", []any{"a", ""}, nil},
		{"comments and space", "<!-- a -->\n" + m + "<!-- b -->\n</methodCall>\n<!-- c -->\n", "m", nil, nil},
		{"declaration", "<?xml version=\"1.0\" encoding='UTF-8' standalone=\"yes\" ?>\n" + m + "</methodCall>", "m", nil, nil},
		{"other declaration", "<?xml version='1.1'?>" + m + "</methodCall>", "m", nil, nil},
		{"byte order mark", "\ufeff<?xml version='1.0'?>" + m + "</methodCall>", "m", nil, nil},
		{"entities in the method", "<methodCall><methodName>a&amp;<![CDATA[b]]></methodName></methodCall>", "a&b", nil, nil},
		{"ISO-8859-1", "<?xml version='1.0' encoding='iso-8859-1'?><methodCall><methodName>\xfc\x80</methodName></methodCall>", "ü\u0080", nil, nil},
		{"ASCII", "<?xml version='1.0' encoding='US-ASCII'?>" + m + "</methodCall>", "m", nil, nil},
		{"namespace", `<methodCall xmlns:ex="http://example.org/"><methodName>m</methodName></methodCall>`, "m", nil, nil},

		{"nothing", "", "", nil, errMalformed},
		{"text", "hello", "", nil, errMalformed},
		{"JSON", `{"a": 1}`, "", nil, errMalformed},
		{"form", "a=b&c=d", "", nil, errMalformed},
		{"UTF-16", "\xff\xfe<\x00m\x00", "", nil, errMalformed},
		{"ASCII that is none", "<?xml version='1.0' encoding='us-ascii'?><methodCall><methodName>ü</methodName></methodCall>", "", nil, errMalformed},
		{"unknown encoding", "<?xml version='1.0' encoding='utf-7'?>" + m + "</methodCall>", "", nil, errMalformed},
		{"declaration without a version", "<?xml encoding='utf-8'?>" + m + "</methodCall>", "", nil, errMalformed},
		{"declaration of another version", "<?xml version='2.0'?>" + m + "</methodCall>", "", nil, errMalformed},
		{"declaration with more", "<?xml version='1.0' more='1'?>" + m + "</methodCall>", "", nil, errMalformed},
		{"declaration with text", "<?xml version='1.0' !?>" + m + "</methodCall>", "", nil, errMalformed},
		{"declaration without an end", "<?xml version='1.0'", "", nil, errMalformed},
		{"declaration after space", " <?xml version='1.0'?>" + m + "</methodCall>", "", nil, errMalformed},
		{"style sheet", "<?xml-stylesheet href='a'?>" + m + "</methodCall>", "", nil, errMalformed},
		{"document type", "<!DOCTYPE methodCall>" + m + "</methodCall>", "", nil, errMalformed},
		{"entity bomb", `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><methodCall><methodName>&c;</methodName></methodCall>`, "", nil, errMalformed},
		{"external entity", `<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><methodCall><methodName>&b;</methodName></methodCall>`, "", nil, errMalformed},
		{"second document", m + "</methodCall>" + m + "</methodCall>", "", nil, errMalformed},
		{"text at the end", m + "</methodCall>a", "", nil, errMalformed},
		{"entity at the end", m + "</methodCall>&#32;&", "", nil, errMalformed},

		{"response", "<methodResponse/>", "", nil, errRequest},
		{"no method", "<methodCall/>", "", nil, errRequest},
		{"method after the parameters", "<methodCall><params/><methodName>m</methodName></methodCall>", "", nil, errRequest},
		{"parameters twice", m + "<params/><params/></methodCall>", "", nil, errRequest},
		{"something else", m + "<param/></methodCall>", "", nil, errRequest},
		{"value without a parameter", m + "<params><value/></params></methodCall>", "", nil, errRequest},
		{"parameter without a value", m + "<params><param/></params></methodCall>", "", nil, errRequest},
		{"parameter of two values", m + "<params><param><value/><value/></param></params></methodCall>", "", nil, errRequest},
		{"text between", m + "<params>a</params></methodCall>", "", nil, errRequest},
		{"HTML", "<html></html>", "", nil, errRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := decodeText(tt.doc)
			if !errors.Is(err, tt.err) || c.method != tt.method || !reflect.DeepEqual(c.params, tt.params) {
				t.Errorf("got %q of %#v and %v, want %q of %#v and %v", c.method, c.params, err, tt.method, tt.params, tt.err)
			}
		})
	}
}

// A document that has been cut is none, wherever it was.
func TestTruncated(t *testing.T) {
	doc := string(document("m", everything(), "é&<>")) + "<!-- c -->"
	end := strings.Index(doc, "</methodCall>") + len("</methodCall>")
	for i := range doc {
		_, err := decodeText(doc[:i])
		ends := i >= end && (i <= end+1 || i == len(doc)) // after it there may be a line end
		if (err == nil) != ends {
			t.Errorf("at %d: got %v of %q", i, err, doc[:i])
		}
	}
}

// everything is a value with all types in it.
func everything() structure {
	return structure{
		{"list", []any{1, math.MinInt, true, false, double(-0.25), "", "a\r\n\t]]>", nil, []any{}, structure{}}},
		{"bytes", []byte{0, 1, 254, 255}}, {"time", dateTime("19980717T14:08:55")},
		{"<&>", structure{{"deep", []any{[]any{structure{{"", "ü"}}}}}}},
	}
}

func TestBounds(t *testing.T) {
	array := func(n int) string {
		return strings.Repeat("<value><array><data>", n) + strings.Repeat("</data></array></value>", n)
	}
	nested := func(n int) string {
		return strings.Repeat("<value><struct><member><name>a</name>", n) + "<value/>" + strings.Repeat("</member></struct></value>", n)
	}
	flat := func(n int) string {
		return "<value><array><data>" + strings.Repeat("<value/>", n) + "</data></array></value>"
	}
	params := func(n int) string {
		return "<methodCall><methodName>m</methodName><params>" + strings.Repeat("<param><value/></param>", n) + "</params></methodCall>"
	}
	tests := []struct {
		name string
		doc  string
		want error
	}{
		{"arrays in one another", inCall(array(maxDepth)), nil},
		{"one more", inCall(array(maxDepth + 1)), errRequest},
		{"a million", inCall(array(1_000_000)), errRequest},
		{"a million that do not end", inCall(strings.Repeat("<value><array><data>", 1_000_000)), errRequest},
		{"structures in one another", inCall(nested(maxDepth)), nil},
		{"one more structure", inCall(nested(maxDepth + 1)), errRequest},
		{"a million structures", inCall(nested(1_000_000)), errRequest},
		{"values", inCall(flat(maxValues - 1)), nil},
		{"one more value", inCall(flat(maxValues)), errRequest},
		{"a million values", inCall(flat(1_000_000)), errRequest},
		{"parameters", params(maxValues), nil},
		{"one more parameter", params(maxValues + 1), errRequest},
		{"a million parameters", params(1_000_000), errRequest},
		{"a million elements", inCall(strings.Repeat("<a>", 1_000_000)), errRequest},
		{"a million comments", inCall("<value>" + strings.Repeat("<!---->", 1_000_000) + "</value>"), nil},
		{"long name", "<" + strings.Repeat("a", 1_000_000) + ">", errRequest},
		{"many attributes", "<methodCall" + strings.Repeat(" a=''", 200_000) + "/>", errRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := decodeText(tt.doc); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// What has been decoded does not change when the buffers are used again.
func TestReuse(t *testing.T) {
	d := new(decoder)
	buffer := make([]byte, 0, 1<<10)
	buffer = append(buffer, document("first", everything(), "a & b", []any{"x & y"})...)
	c, err := d.decode(buffer)
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.decode(append(buffer[:0], document("other", "&&&&&&", []any{1, 2, 3}, structure{{"z", "&z"}})...))
	if err != nil || again.method != "other" {
		t.Fatalf("got %v and %v", again, err)
	}
	clear(buffer[:cap(buffer)])
	if want := []any{everything(), "a & b", []any{"x & y"}}; c.method != "first" || !reflect.DeepEqual(c.params, want) {
		t.Errorf("got %#v, want %#v", c, want)
	}
}

// After a document that was refused nothing is left of it.
func TestReset(t *testing.T) {
	d := new(decoder)
	if _, err := d.decode([]byte(inCall("<value><array><data><value>a</value><value><struct><member><name>a</name><value>b</value></member><x>"))); err == nil {
		t.Fatal("got no error")
	}
	if !d.reset() || len(d.items) != 0 || len(d.members) != 0 || d.items[:1][0] != nil || d.members[:1][0] != (member{}) || d.b != nil {
		t.Errorf("got %+v, want nothing", d)
	}
	if _, err := d.decode([]byte(inCall("<value><array><data>" + strings.Repeat("<value/>", 5000) + "</data></array></value>"))); err != nil {
		t.Fatal(err)
	}
	if d.reset() {
		t.Error("a large decoder is kept")
	}
}

func FuzzCall(f *testing.F) {
	f.Add(document("m", everything()))
	f.Add([]byte(inCall("<value>a<![CDATA[<]]>&#x41;<!-- b --></value>")))
	f.Add([]byte("<?xml version='1.0' encoding='iso-8859-1'?><methodCall><methodName>\xfc\r\n</methodName><params/></methodCall>"))
	f.Add([]byte(inCall("<value><double>1e300</double></value>")))
	f.Add([]byte(inCall("<value><dateTime.iso8601>2030-01-02T03:04:05+01:00</dateTime.iso8601></value>")))
	f.Fuzz(func(t *testing.T, doc []byte) {
		c, err := new(decoder).decode(bytes.Clone(doc))
		if err != nil {
			if !errors.Is(err, errMalformed) && !errors.Is(err, errRequest) {
				t.Errorf("got %v of %q", err, doc)
			}
			return
		}
		again, err := new(decoder).decode(document(c.method, c.params...))
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("got %#v and %v, want %#v", again, err, c)
		}
	})
}
