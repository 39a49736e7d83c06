package s2s

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// FuzzOutgoing lets a server send anything on a stream that we have opened. Each
// stanza must be written or returned, none twice; what the server sends in the name
// of others, or without having been asked for it, must not be routed; and all must
// come to an end.
func FuzzOutgoing(f *testing.F) {
	header := (&outPeer{domain: "there.test"}).header(" version='1.0'")
	features := func(list ...string) string {
		return "<stream:features>" + strings.Join(list, "") + "</stream:features>"
	}
	const valid = "<db:result from='there.test' to='here.test' type='valid'/>"
	const stanzas = "<message from='x@there.test' to='a@here.test' id='b'/><iq type='get' from='there.test' to='here.test'/><presence from='x@other.test' to='a@here.test'/>"
	f.Add(header + features(outDialback) + valid + "</stream:stream>")
	f.Add(header + features(outDialback, outBidi, outSM) + valid + "<enabled xmlns='urn:xmpp:sm:3'/><r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='2'/>" + stanzas)
	f.Add(header + features(outDialback, outSM) + valid + "<failed xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='7'/>" + stanzas)
	f.Add(header + features(outMustTLS) + outProceed)
	f.Add(header + features(outDialback, outExternal) + outSASLError + valid)
	f.Add((&outPeer{domain: "there.test"}).header("") + valid + outAnswer("i1", "valid", ""))
	f.Add(header + features(outDialback) + outAnswer("i1", "invalid", "") + "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>")
	f.Add(header + features() + "<db:result from='there.test' to='here.test' type='error'><error><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>")
	f.Fuzz(func(t *testing.T, data string) {
		synctest.Test(t, func(t *testing.T) { outFuzz(t, data) })
	})
}

func outFuzz(t *testing.T, data string) {
	r := outStart(t)
	var written strings.Builder
	connected := false
	done := make(chan struct{})
	r.onDial = func(_ context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
		if connected {
			return nil, errOutRefused
		}
		connected = true
		ours, theirs := listentest.NewConn(netip.MustParseAddrPort("192.0.2.1:40000"), to)
		go func() {
			defer close(done)
			_ = theirs.SetWriteDeadline(time.Now().Add(time.Minute))
			_, _ = io.WriteString(theirs, data)
			_ = theirs.CloseWrite()
			_, _ = io.Copy(&written, theirs)
			_ = theirs.Close()
		}()
		return ours, nil
	}
	asked := make(chan error, 1)
	go func() { asked <- r.srv.out.verify(context.Background(), outPair, "i1", "k1") }()
	synctest.Wait()
	r.send("1")
	r.send("2")
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	_ = r.srv.Shutdown(ctx)
	<-asked
	<-done
	returned := map[string]int{}
	for _, st := range r.routed() {
		switch {
		case st.Type == stanza.TypeError && (st.ID == "1" || st.ID == "2") && st.To.Resource() == "r":
			returned[st.ID]++
		case st.From.Domain() != "there.test" || st.To.Domain() != "here.test" || !strings.Contains(data, "urn:xmpp:features:bidi"):
			t.Errorf("%v was routed after %q", st, data)
		}
	}
	for _, id := range []string{"1", "2"} {
		sent := strings.Count(written.String(), "id='"+id+"'><body>")
		if sent > 1 || returned[id] > 1 || sent+returned[id] == 0 {
			t.Errorf("%s was written %d times and returned %d times after %q", id, sent, returned[id], data)
		}
	}
}
