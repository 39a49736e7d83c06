package bosh

import (
	"bytes"
	"encoding/xml"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// said is what a body says, to be compared.
type said struct {
	SID, Key, NewKey, To, From, Lang, Version, Ver, Content string
	RID, Ack, Pause, Wait, Hold                             int64
	Terminate, Restart                                      bool
	Payload                                                 []string
}

// readBody reads a whole body.
func readBody(text string, limits xmlstream.Limits) (said, error) {
	var r reader
	r.buf = append(r.buf, text...)
	if r.rest = endOfTag(r.buf); r.rest == 0 {
		return said{}, errBody("no start tag")
	}
	var err error
	if r.body, err = r.tags.parse(r.buf[:r.rest]); err != nil {
		return said{}, err
	}
	x := r.body
	if x.err != nil {
		return said{}, x.err
	}
	s := said{
		string(x.sid), string(x.key), string(x.newKey), string(x.to), string(x.from), string(x.lang), string(x.version), string(x.ver), string(x.content),
		x.rid, x.ack, x.pause, x.wait, x.hold, x.terminate, x.restart, nil,
	}
	err = r.payload(limits, func(e *xmlstream.Element) error {
		tree, err := stanza.ElementFrom(e)
		if err == nil {
			s.Payload = append(s.Payload, string(tree.AppendXML(nil)))
		}
		return err
	})
	return s, err
}

// write returns a body that says the same.
func (s said) write() string {
	var b bytes.Buffer
	b.WriteString("<?xml version='1.0'?> <b:body xmlns:b='" + nsBind + "' xmlns:x='" + nsXMPP + "'")
	for _, a := range [][2]string{
		{"sid", s.SID}, {"key", s.Key}, {"newkey", s.NewKey}, {"to", s.To}, {"from", s.From}, {"xml:lang", s.Lang},
		{"x:version", s.Version}, {"ver", s.Ver}, {"content", s.Content},
	} {
		if a[1] != "" {
			b.WriteString(" " + a[0] + "=\"")
			_ = xml.EscapeText(&b, []byte(a[1]))
			b.WriteByte('"')
		}
	}
	for _, a := range []struct {
		name string
		n    int64
	}{{"rid", s.RID}, {"ack", s.Ack}, {"pause", s.Pause}, {"wait", s.Wait}, {"hold", s.Hold}} {
		if a.n != none {
			b.WriteString(" " + a.name + "='" + strconv.FormatInt(a.n, 10) + "'")
		}
	}
	if s.Terminate {
		b.WriteString(" type='terminate'")
	}
	if s.Restart {
		b.WriteString(" x:restart='1'")
	}
	return b.String() + ">\n" + strings.Join(s.Payload, " ") + "</b:body>"
}

func TestBody(t *testing.T) {
	nobody := said{RID: none, Ack: none, Pause: none, Wait: none, Hold: none}
	with := func(f func(*said)) said {
		s := nobody
		f(&s)
		return s
	}
	const open = "<body xmlns='" + nsBind + "' xmlns:xmpp='" + nsXMPP + "' "
	key := strings.Repeat("aB", 20)
	for _, c := range []struct {
		name, text string
		want       said
	}{
		{"nothing", open + "/>", nobody},
		{"end tag", open + "> \n </body>", nobody},
		{"numbers", open + "rid='9007199254740991' ack='1' pause='0' wait='60' hold='1'/>", said{RID: 9007199254740991, Ack: 1, Wait: 60, Hold: 1}},
		{"zeros before", open + "rid='0001'/>", with(func(s *said) { s.RID = 1 })},
		{"too high", open + "rid='9007199254740993' ack='99999999999999999999999'/>", with(func(s *said) { s.RID, s.Ack = 1<<53, 1<<53 })},
		{"texts", open + "sid='a&amp;b' to='ü' from='f' xml:lang='de' xmpp:version='1.0' ver='1.6' content='text/xml' key='k' newkey='" + key + "'/>",
			with(func(s *said) {
				s.SID, s.To, s.From, s.Lang, s.Version, s.Ver, s.Content, s.Key, s.NewKey = "a&b", "ü", "f", "de", "1.0", "1.6", "text/xml", "k", key
			})},
		{"flags", open + "type='terminate' xmpp:restart='true'/>", with(func(s *said) { s.Terminate, s.Restart = true, true })},
		{"other type", open + "type='error' xmpp:restart='0'/>", nobody},
		{"attributes of others", open + "xmlns:y='urn:y' y:sid='1' y:restart='true' unknown='x' version='2'/>", nobody},
		{"> in a value", open + "to='>'><presence/></body>", with(func(s *said) { s.To, s.Payload = ">", []string{"<presence/>"} })},
		{"declaration", "<?xml version='1.0' encoding=\"utf-8\"?>\n" + open + "/>\n", nobody},
	} {
		got, err := readBody(c.text, xmlstream.Limits{})
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}

func TestBadBody(t *testing.T) {
	const open = "<body xmlns='" + nsBind + "'"
	for _, text := range []string{
		"", " ", "x", "<", "<body", "<body>", "<body/>", "<body xmlns='urn:x'/>", "<x xmlns='" + nsBind + "'/>",
		open + " rid=''/>", open + " rid='-1'/>", open + " rid='+1'/>", open + " rid='1.0'/>", open + " rid='0x1'/>", open + " rid='١'/>", open + " wait='x'/>",
		open + " rid='1' rid='2'/>", open + " newkey='x'/>", open + " x:y='1'/>", open + " sid=1/>", open + "/>x", open + "/><body/>", open + ">",
		open + "></body>x", open + "></body2>", open + "><!-- --></body>", open + "><?x?></body>", open + ">x</body>", open + "><a></body>", open + "><a/></body><b/>",
		open + "><a>&x;</a></body>", open + "><y:a/></body>", "<?xml version='1.1'?" + ">x", "<?xml encoding='utf-8'?>" + open + "/>",
		"<!DOCTYPE a>" + open + "/>", "<?x?>" + open + "/>", "<b:body xmlns:b='" + nsBind + "' xmlns='urn:x'/>", "\xff" + open + "/>",
	} {
		if got, err := readBody(text, xmlstream.Limits{}); err == nil {
			t.Errorf("%q: got %+v, want an error", text, got)
		} else if got := conditionOf(err); got != badRequest {
			t.Errorf("%q: got %s, want bad-request", text, got)
		}
	}
}

// FuzzBody checks that what is read from a body is read from another body that says the
// same, and that each element of it can stand alone.
func FuzzBody(f *testing.F) {
	const open = "<body xmlns='" + nsBind + "' xmlns:xmpp='" + nsXMPP + "' "
	for _, s := range []string{
		open + "rid='1' sid='x'/>", open + "rid='1' to='a.test' ver='1.6' wait='60' hold='1' xml:lang='en' xmpp:version='1.0'></body>",
		open + "xmlns:y='urn:y'><message y:z='1'><body>x &amp; y</body></message><y:a><b/></y:a></body>", open + "type='terminate'><presence/></body>",
		"<?xml version='1.0'?>" + open + "ack='1' pause='2' key='k'><iq id='1' type='get'><q xmlns='urn:q'/></iq> <iq/></body>",
		"<b:body xmlns:b='" + nsBind + "' xmlns='jabber:client'><message><![CDATA[<]]></message></b:body>", open + "to='>'", "<body>", "",
	} {
		f.Add(s)
	}
	limits := xmlstream.Limits{Bytes: 10_000, Elements: 100, Depth: 20}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := readBody(text, limits)
		if err != nil {
			return
		}
		if len(got.write()) > maxTag {
			return
		}
		again, err := readBody(got.write(), xmlstream.Limits{})
		if err != nil {
			t.Fatalf("%s\nwritten as %s\n%v", text, got.write(), err)
		}
		if !reflect.DeepEqual(again, got) {
			t.Fatalf("%s\nwritten as %s\ngot %+v\nwant %+v", text, got.write(), again, got)
		}
	})
}

func TestCount(t *testing.T) {
	for _, c := range []struct {
		text string
		want Count
		ok   bool
	}{{"1", 1, true}, {"unlimited", Unlimited, true}, {"infinity", Unlimited, true}, {"0", 0, false}, {"-1", 0, false}, {"many", 0, false}, {"", 0, false}} {
		var got Count
		if err := got.UnmarshalText([]byte(c.text)); (err == nil) != c.ok || got != c.want {
			t.Errorf("%q: got %d, %v, want %d, %t", c.text, got, err, c.want, c.ok)
		}
	}
	for c, want := range map[Count]string{Unlimited: "unlimited", 5: "5"} {
		if got, _ := c.MarshalText(); string(got) != want {
			t.Errorf("%d: got %q, want %q", c, got, want)
		}
	}
}
