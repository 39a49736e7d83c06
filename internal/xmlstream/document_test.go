package xmlstream

import "testing"

// A Parser that has been used takes a text apart as a new one does.
func TestParserAgain(t *testing.T) {
	var p Parser
	texts := []struct{ doc, space string }{
		{"<a xmlns='x'><b c='1'/>text</a>", ""},
		{"<message><body>hi</body></message>", "jabber:client"},
		{"<a", "jabber:client"},
		{"<a/><b/>", ""},
		{"<x:a/>", "jabber:client"},
		{" <iq type='get'/> ", "jabber:client"},
		{"<a><![CDATA[x]]></a>", ""},
		{"<message/>", ""},
	}
	for range 3 {
		for _, c := range texts {
			want, wantErr := ParseElement([]byte(c.doc), c.space, Limits{})
			got, err := p.Parse([]byte(c.doc), c.space, Limits{})
			if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
				t.Errorf("%s: got %v, want %v", c.doc, err, wantErr)
				continue
			}
			if err == nil && (string(got.Name.Space) != string(want.Name.Space) || string(got.Raw) != string(want.Raw) ||
				string(got.Inner) != string(want.Inner) || got.Elements != want.Elements || string(got.Outer()) != string(want.Outer())) {
				t.Errorf("%s: got %+v, want %+v", c.doc, got, want)
			}
		}
	}
	doc := []byte(texts[1].doc)
	if n := testing.AllocsPerRun(100, func() { _, _ = p.Parse(doc, "jabber:client", Limits{}) }); n > 0 {
		t.Errorf("got %v allocations for a text, want none", n)
	}
}
