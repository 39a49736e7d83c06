package xmlstream

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// scanAll reads a whole stream and returns what came, one line each, and the
// error that ended it.
func scanAll(r io.Reader, l Limits) (lines []string, err error) {
	s := NewScanner(r, l)
	h, err := s.Header()
	if err != nil {
		return nil, err
	}
	lines = append(lines, describe(h))
	for {
		e, err := s.Next()
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		lines = append(lines, describe(&e.Start)+" "+string(e.Raw)+" "+string(e.Inner)+
			" {"+string(e.Child.Space)+"}"+string(e.Child.Local)+string(e.AppendOuterDecls(nil)))
	}
}

func describe(t *Start) string {
	var b strings.Builder
	b.WriteString("{" + string(t.Name.Space) + "}" + string(t.Prefix) + ":" + string(t.Name.Local))
	for _, a := range t.Attrs {
		b.WriteString(" {" + string(a.Name.Space) + "}" + string(a.Name.Local) + "=" + string(a.Value) + " " + string(a.Raw))
	}
	for _, d := range t.Decls {
		b.WriteString(" " + string(d.Prefix) + "->" + string(d.URI) + " " + string(d.Raw))
	}
	return b.String()
}

// kindOf returns the kind of a syntax error, 0 of no error.
func kindOf(t *testing.T, err error) Kind {
	t.Helper()
	var syntax *SyntaxError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &syntax):
		t.Fatalf("got error %v, want a *SyntaxError", err)
	}
	return syntax.Kind
}

// syntaxTests are children of a stream and the rule that they break, 0 for none.
var syntaxTests = []struct {
	rule string
	xml  string
	want Kind
}{
	// XML 1.0, section 2.2: characters.
	{"tab and line ends", "<a>\t\r\n\n\r</a>", 0},
	{"delete is allowed", "<a>\x7f</a>", 0},
	{"C1 is allowed", "<a>\u0085\u009f</a>", 0},
	{"private use and last planes", "<a>\uE000\U0010FFFF\U0001FFFE</a>", 0},
	{"U+FFFD", "<a>\uFFFD</a>", 0},
	{"no-break space is a character", "<a>\uFEFF</a>", 0},
	{"NUL", "<a>\x00</a>", NotWellFormed},
	{"element named xmlns", "<a><xmlns/></a>", NotWellFormed},
	{"C0", "<a>\x1b</a>", NotWellFormed},
	{"C0 in a value", "<a b='\x01'/>", NotWellFormed},
	{"C0 in CDATA", "<a><![CDATA[\x01]]></a>", NotWellFormed},
	{"C0 in a tag", "<a \x01/>", NotWellFormed},
	{"U+FFFE", "<a>\uFFFE</a>", NotWellFormed},
	{"U+FFFF", "<a>x\uFFFFy</a>", NotWellFormed},
	{"U+FFFF in a value", "<a b='\uFFFF'/>", NotWellFormed},
	{"U+FFFF in CDATA", "<a><![CDATA[\uFFFF]]></a>", NotWellFormed},

	// RFC 6120, section 11.6; RFC 3629: encoding.
	{"lone continuation", "<a>\x80</a>", UnsupportedEncoding},
	{"overlong slash", "<a>\xc0\xaf</a>", UnsupportedEncoding},
	{"overlong of three", "<a>\xe0\x80\xaf</a>", UnsupportedEncoding},
	{"overlong of four", "<a>\xf0\x80\x80\xaf</a>", UnsupportedEncoding},
	{"overlong '<'", "<a>\xc0\xbc</a>", UnsupportedEncoding},
	{"surrogate", "<a>\xed\xa0\x80</a>", UnsupportedEncoding},
	{"surrogate pair", "<a>\xed\xa0\xbd\xed\xb8\x80</a>", UnsupportedEncoding},
	{"beyond U+10FFFF", "<a>\xf4\x90\x80\x80</a>", UnsupportedEncoding},
	{"cut off by markup", "<a>\xe2\x82</a>", UnsupportedEncoding},
	{"Latin-1", "<a>caf\xe9 </a>", UnsupportedEncoding},
	{"in a value", "<a b='\xff'/>", UnsupportedEncoding},
	{"in a name", "<a\xff/>", UnsupportedEncoding},
	{"in CDATA", "<a><![CDATA[\xff]]></a>", UnsupportedEncoding},
	{"UTF-16", "\xff\xfe<\x00a\x00", UnsupportedEncoding},

	// XML 1.0, section 2.3: names.
	{"all of ASCII", "<_aZ.-9/>", 0},
	{"Latin", "<é ü='1'/>", 0},
	{"Greek and CJK", "<λόγος 語='1'/>", 0},
	{"combining character inside", "<e\u0301/>", 0},
	{"digit first", "<1a/>", NotWellFormed},
	{"hyphen first", "<-a/>", NotWellFormed},
	{"dot first", "<a .b='1'/>", NotWellFormed},
	{"combining character first", "<\u0301/>", NotWellFormed},
	{"multiplication sign", "<a\u00d7/>", NotWellFormed},
	{"fifth edition only", "<\u2c00/>", NotWellFormed},
	{"fifth edition only, astral", "<\U00010000/>", NotWellFormed},
	{"space before the name", "< a/>", NotWellFormed},
	{"no name", "<>", NotWellFormed},
	{"slash only", "</>", NotWellFormed},

	// XML 1.0, section 2.4: character data.
	{"brackets", "<a>]] ]]]]&gt; ] ></a>", 0},
	{"end of CDATA in text", "<a>]]></a>", NotWellFormed},
	{"end of CDATA in text, more brackets", "<a>x]]]]]></a>", NotWellFormed},
	{"end of CDATA in a value", "<a b=']]>'/>", 0},
	{"'>' in text and values", "<a b='>'>></a>", 0},

	// XML 1.0, section 2.7: CDATA.
	{"CDATA", "<a>x<![CDATA[<b>&amp;]] ]>]]>y</a>", 0},
	{"empty CDATA", "<a><![CDATA[]]></a>", 0},
	{"CDATA with brackets at its end", "<a><![CDATA[]]]]></a>", 0},
	{"CDATA in lower case", "<a><![cdata[]]></a>", RestrictedXML},
	{"CDATA between children", "<![CDATA[ ]]>", RestrictedXML},

	// RFC 6120, section 11.1: what XMPP forbids.
	{"comment", "<a><!-- x --></a>", RestrictedXML},
	{"comment between children", "<!-- x -->", RestrictedXML},
	{"DOCTYPE", "<!DOCTYPE a>", RestrictedXML},
	{"DOCTYPE with entities", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", RestrictedXML},
	{"DOCTYPE inside", "<a><!DOCTYPE a></a>", RestrictedXML},
	{"declaration inside", "<a><!ENTITY b 'c'></a>", RestrictedXML},
	{"processing instruction", "<a><?x y?></a>", RestrictedXML},
	{"processing instruction between children", "<?x y?>", RestrictedXML},
	{"style sheet", "<?xml-stylesheet href='x'?>", RestrictedXML},
	{"entity", "<a>&nbsp;</a>", RestrictedXML},
	{"entity in a value", "<a b='&x;'/>", RestrictedXML},
	{"entity in upper case", "<a>&AMP;</a>", RestrictedXML},
	{"reference too long", "<a>&#" + strings.Repeat("0", 100) + "65;</a>", RestrictedXML},
	{"XML declaration between children", "<?xml version='1.0'?>", NotWellFormed},
	{"XML declaration inside", "<a><?xml version='1.0'?></a>", NotWellFormed},

	// XML 1.0, section 4.1: references.
	{"predefined", "<a b='&lt;&gt;&amp;&apos;&quot;'>&lt;&gt;&amp;&apos;&quot;</a>", 0},
	{"decimal", "<a>&#65;&#9;&#10;&#13;&#1114111;</a>", 0},
	{"hexadecimal", "<a>&#x41;&#xd7FF;&#xE000;&#x10fffF;&#x0041;</a>", 0},
	{"reference to NUL", "<a>&#0;</a>", NotWellFormed},
	{"reference to C0", "<a b='&#x1F;'/>", NotWellFormed},
	{"reference to a surrogate", "<a>&#xD800;</a>", NotWellFormed},
	{"reference to U+FFFE", "<a>&#xFFFE;</a>", NotWellFormed},
	{"reference beyond U+10FFFF", "<a>&#x110000;</a>", NotWellFormed},
	{"reference that overflows", "<a>&#x100000041;</a>", NotWellFormed},
	{"capital X", "<a>&#X41;</a>", NotWellFormed},
	{"no digits", "<a>&#;</a>", NotWellFormed},
	{"no hexadecimal digits", "<a>&#x;</a>", NotWellFormed},
	{"hexadecimal digit in decimal", "<a>&#4A;</a>", NotWellFormed},
	{"sign", "<a>&#-5;</a>", NotWellFormed},
	{"empty reference", "<a>&;</a>", NotWellFormed},
	{"bare ampersand", "<a>b & c</a>", NotWellFormed},
	{"reference without end", "<a>&amp</a>", NotWellFormed},
	{"reference without end in a value", "<a b='&amp'/>", NotWellFormed},

	// XML 1.0, section 3.1: tags.
	{"white space", "<a\t\r\n b = 'c'\nd\t=\r\"e\" ></a\n>", 0},
	{"white space before the slash", "<a b='c' />", 0},
	{"other quotes in a value", `<a b='"' c="'"/>`, 0},
	{"line ends in a value", "<a b='\t\r\n'/>", 0},
	{"no white space between attributes", "<a b='1'c='2'/>", NotWellFormed},
	{"slash inside", "<a / b='1'>", NotWellFormed},
	{"space after the slash", "<a/ >", NotWellFormed},
	{"value without quotes", "<a b=c/>", NotWellFormed},
	{"attribute without value", "<a b/>", NotWellFormed},
	{"attribute without equals", "<a b 'c'/>", NotWellFormed},
	{"'<' in a value", "<a b='<'/>", NotWellFormed},
	{"'<' in a tag", "<a <b/>", NotWellFormed},
	{"mismatched end tag", "<a><b></a></b>", NotWellFormed},
	{"longer end tag", "<a></ab>", NotWellFormed},
	{"shorter end tag", "<ab></a>", NotWellFormed},
	{"end tag in another case", "<a></A>", NotWellFormed},
	{"end tag with attributes", "<a></a b='c'>", NotWellFormed},
	{"end tag with space first", "<a></ a>", NotWellFormed},
	{"end tag of another prefix", "<x:a xmlns:x='u' xmlns:y='u'></y:a>", NotWellFormed},
	{"attribute twice", "<a b='1' b='2'/>", NotWellFormed},
	{"attribute twice, not in a row", "<a b='1' c='2' b='1'/>", NotWellFormed},

	// Namespaces in XML, sections 3 to 6.
	{"prefixes", "<x:a xmlns:x='u' x:b='1' b='2'/>", 0},
	{"declared after use", "<x:a x:b='1' xmlns:x='u'/>", 0},
	{"inherited", "<a xmlns:x='u'><b><x:c/></b></a>", 0},
	{"of the stream", "<stream:a stream:b='1'/>", 0},
	{"shadowed", "<stream:a xmlns:stream='u'/>", 0},
	{"xml without declaration", "<a xml:lang='en' xml:space='preserve'/>", 0},
	{"xml declared as itself", "<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='en'/>", 0},
	{"no default namespace", "<a xmlns=''><b/></a>", 0},
	{"same name in two namespaces", "<a xmlns:x='u' xmlns:y='v' x:b='1' y:b='2'/>", 0},
	{"prefix without use", "<a xmlns:x='u'/>", 0},
	{"undeclared prefix", "<x:a/>", NotWellFormed},
	{"undeclared prefix of an attribute", "<a x:b='1'/>", NotWellFormed},
	{"undeclared prefix of a child", "<a><x:b/></a>", NotWellFormed},
	{"out of scope", "<a><b xmlns:x='u'/><x:c/></a>", NotWellFormed},
	{"out of scope after an end tag", "<a><b xmlns:x='u'></b><x:c/></a>", NotWellFormed},
	{"xml declared as another", "<a xmlns:xml='u'/>", NotWellFormed},
	{"another declared as xml", "<a xmlns:x='http://www.w3.org/XML/1998/namespace'/>", NotWellFormed},
	{"xml as default", "<a xmlns='http://www.w3.org/XML/1998/namespace'/>", NotWellFormed},
	{"xmlns declared", "<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>", NotWellFormed},
	{"xmlns declared as another", "<a xmlns:xmlns='u'/>", NotWellFormed},
	{"another declared as xmlns", "<a xmlns:x='http://www.w3.org/2000/xmlns/'/>", NotWellFormed},
	{"xmlns as default", "<a xmlns='http://www.w3.org/2000/xmlns/'/>", NotWellFormed},
	{"xml hidden by a reference", "<a xmlns:x='http://www.w3.org/XML/1998/namespac&#x65;'/>", NotWellFormed},
	{"xmlns as element prefix", "<xmlns:a/>", NotWellFormed},
	{"prefix undeclared", "<a xmlns:x=''/>", NotWellFormed},
	{"default twice", "<a xmlns='u' xmlns='v'/>", NotWellFormed},
	{"prefix twice", "<a xmlns:x='u' xmlns:x='u'/>", NotWellFormed},
	{"attribute twice under two prefixes", "<a xmlns:x='u' xmlns:y='u' x:b='1' y:b='2'/>", NotWellFormed},
	{"the same, hidden by a reference", "<a xmlns:x='u' xmlns:y='&#x75;' x:b='1' y:b='2'/>", NotWellFormed},
	{"the same, one declared outside", "<a xmlns:x='u'><b xmlns:y='u' x:b='1' y:b='2'/></a>", NotWellFormed},
	{"two colons", "<a:b:c xmlns:a='u'/>", NotWellFormed},
	{"colon first", "<:a/>", NotWellFormed},
	{"colon last", "<a: xmlns:a='u'/>", NotWellFormed},
	{"digit after the colon", "<a:1 xmlns:a='u'/>", NotWellFormed},
	{"colon in an attribute", "<a b:='1' xmlns:b='u'/>", NotWellFormed},
	{"declaration without prefix", "<a xmlns:='u'/>", NotWellFormed},

	// RFC 6120, sections 4.6.1 and 11.7: between the children.
	{"white space", " \t\r\n<a/>\n", 0},
	{"text", "x", BadFormat},
	{"text after a child", "<a/>x", BadFormat},
	{"reference", "&#32;", BadFormat},
	{"text beyond ASCII", "é", BadFormat},
	{"byte order mark", "\uFEFF<a/>", BadFormat},
	{"C0", "\x00", NotWellFormed},
	{"broken UTF-8", "\xe9x", UnsupportedEncoding},
}

func TestSyntax(t *testing.T) {
	for _, tt := range syntaxTests {
		t.Run(tt.rule, func(t *testing.T) {
			lines, err := scanAll(strings.NewReader(testHeader+tt.xml+"</stream:stream>"), Limits{})
			if got := kindOf(t, err); got != tt.want {
				t.Errorf("%q: got %v (%v), want kind %v", tt.xml, lines, err, tt.want)
			}
		})
	}
}

// TestAnyReads reads everything in pieces: what comes out does not depend on
// them.
func TestAnyReads(t *testing.T) {
	for _, tt := range syntaxTests {
		t.Run(tt.rule, func(t *testing.T) {
			doc := testHeader + tt.xml + "</stream:stream>"
			want, wantErr := scanAll(strings.NewReader(doc), Limits{})
			check := func(how string, r io.Reader) {
				t.Helper()
				got, err := scanAll(r, Limits{})
				if strings.Join(got, "\n") != strings.Join(want, "\n") || !sameError(err, wantErr) {
					t.Errorf("%s: got %q, %v, want %q, %v", how, got, err, want, wantErr)
				}
			}
			check("byte by byte", iotest.OneByteReader(strings.NewReader(doc)))
			for i := range doc {
				check("two pieces", io.MultiReader(strings.NewReader(doc[:i]), strings.NewReader(doc[i:])))
			}
		})
	}
}

func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Error() == b.Error()
}

// TestCutOff ends the connection at every byte: that is io.ErrUnexpectedEOF as
// long as nothing was wrong.
func TestCutOff(t *testing.T) {
	doc := testHeader + strings.Join(traffic, "\n") + "<a b='c' ><![CDATA[]]]]></a></stream:stream>"
	for i := range doc {
		if _, err := scanAll(strings.NewReader(doc[:i]), Limits{}); err != io.ErrUnexpectedEOF {
			t.Fatalf("after %d bytes: got %v, want %v", i, err, io.ErrUnexpectedEOF)
		}
	}
}

func TestSyntaxErrorOffset(t *testing.T) {
	padding := strings.Repeat("<a/> ", 10000)
	_, err := scanAll(strings.NewReader(testHeader+padding+"<a>\x01</a>"), Limits{})
	var syntax *SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatalf("got %v, want a *SyntaxError", err)
	}
	if want := int64(len(testHeader) + len(padding) + 3); syntax.Offset != want {
		t.Errorf("got offset %d, want %d", syntax.Offset, want)
	}
}

func TestConditions(t *testing.T) {
	for kind, want := range map[Kind]string{
		NotWellFormed:       "not-well-formed",
		RestrictedXML:       "restricted-xml",
		UnsupportedEncoding: "unsupported-encoding",
		BadFormat:           "bad-format",
		TooLarge:            "policy-violation",
		TooManyElements:     "policy-violation",
		TooDeep:             "policy-violation",
		TooManyAttrs:        "policy-violation",
		TooManyPrefixes:     "policy-violation",
	} {
		if got := kind.Condition(); got != want {
			t.Errorf("kind %d: got %q, want %q", kind, got, want)
		}
	}
}
