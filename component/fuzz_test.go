package component

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// FuzzBeforeLogin sends anything at all before the login: it ends, in well-formed
// XML, without a component that has connected, a domain or a stanza that is routed.
func FuzzBeforeLogin(f *testing.F) {
	f.Add(header("bot.test") + proof("1", "anchor"))
	f.Add(header("bot.test") + message("a@bot.test", "b@house.test", "1"))
	f.Add(header("") + "<handshake/>")
	f.Add(modernHeader("bot.test") + auth("SCRAM-SHA-1", "n,,n=bot.test,r=x") + "<response xmlns='" + nsSASL + "'>eA==</response>")
	f.Add(modernHeader("") + auth("EXTERNAL", "") + auth("PLAIN", "\x00a\x00b") + "<abort xmlns='" + nsSASL + "'/>")
	f.Add(modernHeader("x") + bindRequest("bind", "bot.test"))
	f.Add("<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='a' to='b'>")
	f.Add("<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]>")
	streams := regexp.MustCompile(`<\?xml version='1.0'\?>`)
	f.Fuzz(func(t *testing.T, text string) {
		synctest.Test(t, func(t *testing.T) {
			r := start(t)
			r.router.onRegister = func(string) error { t.Error("a domain was registered"); return nil }
			r.router.onRoute = func(*stanza.Stanza) error { t.Error("a stanza was routed"); return nil }
			conn := r.ln.Dial()
			if _, err := io.WriteString(conn, text[:min(len(text), 60_000)]); err == nil {
				_ = conn.(interface{ CloseWrite() error }).CloseWrite()
			}
			got, _ := io.ReadAll(conn)
			_ = conn.Close()
			synctest.Wait()
			if n := len(r.server.Components()); n != 0 {
				t.Errorf("got %d components, want none", n)
			}
			for _, s := range streams.Split(string(got), -1) {
				d := xml.NewDecoder(strings.NewReader(s))
				var err error
				for err == nil {
					_, err = d.Token()
				}
				var syntax *xml.SyntaxError
				if err != io.EOF && !(errors.As(err, &syntax) && strings.Contains(syntax.Msg, "unexpected EOF")) {
					t.Errorf("got %q, which is not well-formed: %v", s, err)
				}
			}
		})
	})
}
