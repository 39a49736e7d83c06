package s2s

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream/streamtest"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// FuzzIncoming sends anything to a stream whose keys are never right: nothing
// panics, nothing is routed, what we answer is well-formed, and the stream ends.
func FuzzIncoming(f *testing.F) {
	header := inHeader("version='1.0' from='peer.test' to='one.test'")
	for _, seed := range []string{
		"", header, header + inStartTLS, header + inBidi + inResult("peer.test", "one.test", "k"),
		inHeader("") + inResult("peer.test", "one.test", "k") + inMessage("peer.test", "one.test", "1"),
		header + inAuth("=") + "<response xmlns='" + inSASL + "'/>",
		header + "<db:verify from='peer.test' to='one.test' id='x'>k</db:verify>" + inEnable,
		header + "<db:result from='peer.test' to='one.test' type='valid'/>" + inMessage("peer.test", "one.test", "1"),
		header + inMessage("peer.test", "one.test", "1") + "</stream:stream>",
		header + "<iq type='get'/>", header + "<stream:error/>",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		if len(sent) > listentest.BufferSize/2 {
			return
		}
		synctest.Test(t, func(t *testing.T) { inFuzz(t, sent) })
	})
}

func inFuzz(t *testing.T, sent string) {
	fake := inNewHost()
	fake.onVerify = func(context.Context, inQuestion) error { return errInvalidKey }
	server := New(Host{Domains: fake, Router: fake})
	l := server.listener(context.Background(), context.Background(), Defaults(), fake)
	client, conn := listentest.NewConn(netip.MustParseAddrPort("198.51.100.1:1"), netip.MustParseAddrPort("192.0.2.1:5269"))
	if _, err := io.WriteString(client, sent); err != nil {
		t.Fatal(err)
	}
	got := make(chan string)
	go func() {
		all, _ := io.ReadAll(client)
		got <- string(all)
	}()
	began := time.Now()
	if err := l.serve(t.Context(), conn); err != nil {
		t.Errorf("got %v from serve, want nil", err)
	}
	_ = conn.Close()
	l.failures.Flush()
	answer := <-got
	_ = client.Close()
	if took := time.Since(began); took > l.o.NegotiationTimeout+5*time.Second {
		t.Errorf("got the end after %v", took)
	}
	if n := len(fake.routed) + len(fake.returned); n > 0 {
		t.Errorf("got %d stanzas routed or returned", n)
	}
	if got := server.IncomingStats(); got != (IncomingStats{}) {
		t.Errorf("got %+v in the end, want nothing", got)
	}
	if answer != "" && !strings.Contains(sent, "starttls") { // TLS has no end tag
		streamtest.WellFormed(t, answer)
	}
}

// FuzzParseDialback wants what is written to be read as it was.
func FuzzParseDialback(f *testing.F) {
	f.Add("a.test", "b.test", "1", "valid", "k")
	f.Add("A.test", "[::1]", "'<>", "error", "")
	f.Fuzz(func(t *testing.T, from, to, id, kind, key string) {
		e := &stanza.Element{
			Name: stanza.Name{Space: dbResult.Space, Local: "result"}, Text: key,
			Attrs: []stanza.Attr{{Name: stanza.Name{Local: "from"}, Value: from}, {Name: stanza.Name{Local: "to"}, Value: to}, {Name: stanza.Name{Local: "id"}, Value: id}, {Name: stanza.Name{Local: "type"}, Value: kind}},
		}
		d, p, err := parseDialback(e)
		if err != nil {
			if !errors.Is(err, &stanza.StreamError{Condition: stanza.StreamImproperAddressing}) {
				t.Errorf("got %v, want improper-addressing", err)
			}
			return
		}
		xml := strings.Replace(d.String(), "<db:result", "<db:result xmlns:db='"+dbResult.Space+"'", 1)
		again, err := stanza.ParseElement(xml)
		if err != nil {
			t.Fatalf("%s: %v", xml, err)
		}
		_, q, err := parseDialback(again)
		if err != nil || p != q {
			t.Errorf("got %v, %v after reading again; want %v", q, err, p)
		}
	})
}
