package xmppstream

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func parse(t testing.TB, xml string) *stanza.Element {
	t.Helper()
	e, err := stanza.ParseElement(xml)
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	return e
}

// The examples of XEP-0198, and what its schema allows besides.
func TestParseSM(t *testing.T) {
	const ns = " xmlns='urn:xmpp:sm:3'"
	const bad = stanza.BadRequest
	tests := []struct {
		name, xml string
		want      any
		err       stanza.Condition
	}{
		{"enable", "<enable" + ns + "/>", Enable{}, ""},
		{"enable to resume", "<enable" + ns + " resume='true'/>", Enable{Resume: true}, ""},
		{"enable, 1 for true", "<enable" + ns + " resume=' 1 ' max='60'/>", Enable{Resume: true, Max: time.Minute}, ""},
		{"enable, 0 for false", "<enable" + ns + " resume='0'/>", Enable{}, ""},
		{"enable, max no number", "<enable" + ns + " max='long'/>", Enable{}, ""},
		{"enable, max negative", "<enable" + ns + " max='-1'/>", Enable{}, ""},
		{"enable, max beyond all", "<enable" + ns + " max='99999999999999999999999'/>", Enable{Max: maxResumption}, ""},
		{"enable, neither true nor false", "<enable" + ns + " resume='maybe'/>", Enable{}, bad},
		{"enabled", "<enabled" + ns + "/>", Enabled{}, ""},
		{"enabled to resume", "<enabled" + ns + " id='some-long-sm-id' resume='true' max='600' location='[2001:db8::1]:9222'/>",
			Enabled{ID: "some-long-sm-id", Resume: true, Max: 600 * time.Second, Location: "[2001:db8::1]:9222"}, ""},
		{"enabled with id only", "<enabled" + ns + " id='x'/>", Enabled{ID: "x"}, ""},
		{"resume", "<resume" + ns + " h='7' previd='x'/>", Resumption{ID: "x", H: 7}, ""},
		{"resumed", "<resumed" + ns + " h='4294967295' previd='x'/>", Resumption{ID: "x", H: math.MaxUint32}, ""},
		{"resume without previd", "<resume" + ns + " h='7'/>", Resumption{}, bad},
		{"resume without h", "<resume" + ns + " previd='x'/>", Resumption{ID: "x"}, bad},
		{"resume, h too large", "<resume" + ns + " h='4294967296' previd='x'/>", Resumption{ID: "x"}, bad},
		{"resume, h negative", "<resume" + ns + " h='-1' previd='x'/>", Resumption{ID: "x"}, bad},
		{"failed", "<failed" + ns + "/>", Failed{}, ""},
		{"failed with condition", "<failed" + ns + "><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
			Failed{Condition: stanza.UnexpectedRequest}, ""},
		{"failed with number", "<failed" + ns + " h='3'><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
			Failed{Condition: stanza.ItemNotFound, Known: true, H: 3}, ""},
		{"ack", "<a" + ns + " h='10'/>", uint32(10), ""},
		{"ack, zeros in front", "<a" + ns + " h='0010'/>", uint32(10), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseAny(parse(t, tt.xml))
			var e *stanza.Error
			errors.As(err, &e)
			if got != tt.want || (err != nil) != (tt.err != "") || e != nil && e.Condition != tt.err {
				t.Errorf("got %+v, %v, want %+v, %q", got, err, tt.want, tt.err)
			}
		})
	}
	for _, h := range []string{"", "x", "-1", "1.5", "4294967296", "0x10"} {
		_, err := ParseAck(parse(t, "<a xmlns='urn:xmpp:sm:3' h='"+h+"'/>"))
		if streamCondition(err) != stanza.StreamBadFormat {
			t.Errorf("h=%q: got %v, want bad-format", h, err)
		}
	}
}

func parseAny(e *stanza.Element) (any, error) {
	switch e.Name.Local {
	case "enable":
		return ParseEnable(e)
	case "enabled":
		return parseEnabled(e)
	case "resume", "resumed":
		return ParseResumption(e)
	case "failed":
		return parseFailed(e), nil
	case "a":
		return ParseAck(e)
	}
	return nil, nil
}

// parseEnabled reads what only servers write.
func parseEnabled(e *stanza.Element) (Enabled, error) {
	resume, err := parseBool(e.Attr("resume"))
	return Enabled{ID: e.Attr("id"), Resume: resume, Max: parseSeconds(e.Attr("max")), Location: e.Attr("location")}, err
}

// parseFailed reads what only servers write.
func parseFailed(e *stanza.Element) Failed {
	var m Failed
	m.H, m.Known = parseCount(e.Attr("h"))
	for _, c := range e.Children {
		if c.Name.Space == stanza.NSStanzas && c.Name.Local != "text" {
			m.Condition = stanza.Condition(c.Name.Local)
			break
		}
	}
	return m
}

// appendAny writes what parseAny has read.
func appendAny(v any) string {
	switch v := v.(type) {
	case Enable:
		return string(v.AppendXML(nil))
	case Enabled:
		return string(v.AppendXML(nil))
	case Resumption:
		return string(v.AppendResumed(nil))
	case Failed:
		return string(v.AppendXML(nil))
	case uint32:
		return string(AppendAck(nil, v))
	}
	return ""
}

// FuzzSM checks that what is read is read again from what is written.
func FuzzSM(f *testing.F) {
	for _, s := range []string{
		"<enable xmlns='urn:xmpp:sm:3' resume='true' max='9'/>",
		"<enabled xmlns='urn:xmpp:sm:3' id='&lt;&apos;' resume='1' location='x'/>",
		"<resume xmlns='urn:xmpp:sm:3' h='1' previd='&#10;'/>", "<resumed xmlns='urn:xmpp:sm:3' h='0' previd=' '/>",
		"<failed xmlns='urn:xmpp:sm:3' h='1'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>", "<a xmlns='urn:xmpp:sm:3' h='1'/>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, xml string) {
		e, err := stanza.ParseElement(xml)
		if err != nil {
			return
		}
		got, err := parseAny(e)
		if err != nil || got == nil {
			return
		}
		written := appendAny(got)
		again, err := parseAny(parse(t, written))
		if err != nil || again != got {
			t.Errorf("%q was read as %+v, and written as %q, which is read as %+v, %v", xml, got, written, again, err)
		}
		if !strings.Contains(written, NSSM) {
			t.Errorf("%q has not the namespace", written)
		}
	})
}
