package xmppstream

import (
	"bytes"
	"encoding/xml"
	"errors"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/sasl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestFeatures(t *testing.T) {
	tests := []struct {
		name       string
		f          Features
		standalone bool
		want       string
	}{
		{"nothing", Features{}, false, "<stream:features></stream:features>"},
		{"standalone", Features{Bind: true}, true,
			"<stream:features xmlns:stream='http://etherx.jabber.org/streams'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"},
		{"TLS only", Features{StartTLS: true, RequireTLS: true}, false,
			"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"},
		{"optional TLS", Features{StartTLS: true, Mechanisms: []string{"SCRAM-SHA-1"}}, false,
			"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'></starttls>" +
				"<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>"},
		{"SASL", Features{Mechanisms: []string{"SCRAM-SHA-1-PLUS", "PLAIN"}, Bindings: []string{"tls-exporter", "tls-server-end-point"}}, false,
			"<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>PLAIN</mechanism></mechanisms>" +
				"<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/><channel-binding type='tls-server-end-point'/></sasl-channel-binding></stream:features>"},
		{"after SASL", Features{Bind: true, Session: true, More: "<sm xmlns='urn:xmpp:sm:3'/>"}, false,
			"<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>" +
				"<sm xmlns='urn:xmpp:sm:3'/></stream:features>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(tt.f.AppendXML([]byte("x"), tt.standalone))
			if got != "x"+tt.want {
				t.Errorf("got  %s\nwant x%s", got, tt.want)
			}
			checkXML(t, got[1:], false)
		})
	}
}

func element(t *testing.T, s string) *stanza.Element {
	t.Helper()
	e, err := stanza.ParseElement(s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestParseAuth(t *testing.T) {
	const auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'"
	tests := []struct {
		name, in string
		want     []byte
		cond     sasl.Condition
	}{
		{"no initial response", auth + "/>", nil, ""},
		{"no initial response, long form", auth + "></auth>", nil, ""},
		{"empty initial response", auth + ">=</auth>", []byte{}, ""},
		{"data", auth + ">AHVzZXIAcGVuY2ls</auth>", []byte("\x00user\x00pencil"), ""},
		{"one pad", auth + ">YWI=</auth>", []byte("ab"), ""},
		{"two pads", auth + ">YQ==</auth>", []byte("a"), ""},
		{"CDATA", auth + "><![CDATA[YQ==]]></auth>", []byte("a"), ""},
		{"no pad", auth + ">YQ</auth>", nil, sasl.IncorrectEncoding},
		{"too many pads", auth + ">YWI==</auth>", nil, sasl.IncorrectEncoding},
		{"pad bits set", auth + ">YR==</auth>", nil, sasl.IncorrectEncoding},
		{"pads only", auth + ">==</auth>", nil, sasl.IncorrectEncoding},
		{"pad in the middle", auth + ">YQ==YQ==</auth>", nil, sasl.IncorrectEncoding},
		{"line break", auth + ">YW\nI=</auth>", nil, sasl.IncorrectEncoding},
		{"carriage return", auth + ">YW&#13;I=</auth>", nil, sasl.IncorrectEncoding},
		{"space", auth + "> YWI=</auth>", nil, sasl.IncorrectEncoding},
		{"URL alphabet", auth + ">_-==</auth>", nil, sasl.IncorrectEncoding},
		{"not ASCII", auth + ">ä</auth>", nil, sasl.IncorrectEncoding},
		{"child", auth + "><x/></auth>", nil, sasl.MalformedRequest},
		{"child and data", auth + ">YQ==<x/></auth>", nil, sasl.MalformedRequest},
		{"no mechanism", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", nil, sasl.InvalidMechanism},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mechanism, got, err := ParseAuth(element(t, tt.in))
			var f *sasl.Failure
			errors.As(err, &f)
			if (err != nil) != (f != nil) || f != nil && f.Condition != tt.cond || f == nil && tt.cond != "" {
				t.Fatalf("got %v, want %q", err, tt.cond)
			}
			if !bytes.Equal(got, tt.want) || (got == nil) != (tt.want == nil) {
				t.Errorf("got %#v, want %#v", got, tt.want)
			}
			if mechanism != "PLAIN" && tt.cond != sasl.InvalidMechanism {
				t.Errorf("mechanism: got %q", mechanism)
			}
		})
	}
}

func TestParseResponse(t *testing.T) {
	for in, want := range map[string]string{"": "", "=": "", "YQ==": "a"} {
		got, err := ParseResponse(element(t, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"+in+"</response>"))
		if err != nil || got == nil || string(got) != want {
			t.Errorf("%q: got %#v, error %v; want %q", in, got, err, want)
		}
	}
	if _, err := ParseResponse(element(t, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>!</response>")); err == nil {
		t.Error("garbage: got no error")
	}
}

func TestSASLElements(t *testing.T) {
	const ns = " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
	failure := &sasl.Failure{Condition: sasl.AccountDisabled, Text: "ask <admin>", Err: errors.New("secret")}
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"challenge", AppendChallenge(nil, []byte("a")), "<challenge" + ns + ">YQ==</challenge>"},
		{"empty challenge", AppendChallenge(nil, []byte{}), "<challenge" + ns + "/>"},
		{"success", AppendSuccess(nil, nil), "<success" + ns + "/>"},
		{"success with data", AppendSuccess(nil, []byte("ab")), "<success" + ns + ">YWI=</success>"},
		{"success with empty data", AppendSuccess(nil, []byte{}), "<success" + ns + ">=</success>"},
		{"failure", AppendFailure(nil, &sasl.Failure{Condition: sasl.NotAuthorized}), "<failure" + ns + "><not-authorized/></failure>"},
		{"failure with text", AppendFailure(nil, failure), "<failure" + ns + "><account-disabled/><text xml:lang='en'>ask &lt;admin&gt;</text></failure>"},
		{"other error", AppendFailure(nil, errors.New("secret")), "<failure" + ns + "><temporary-auth-failure/></failure>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if string(tt.got) != tt.want {
				t.Errorf("got  %s\nwant %s", tt.got, tt.want)
			}
			if err := xml.Unmarshal(tt.got, new(struct{})); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNewStreamID(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		id := NewStreamID()
		if len(id)*5 < 128 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" || seen[id] {
			t.Fatalf("got %q", id)
		}
		seen[id] = true
	}
}
