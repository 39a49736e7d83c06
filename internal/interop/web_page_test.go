//go:build interop

package interop

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// logIn has a user log in with the page of examples/websocket, in a tab.
func logIn(t *testing.T, browser context.Context, site, jid, secret string) tab {
	t.Helper()
	b := openTab(t, browser, site, nil)
	do(t, b, "the address", chromedp.SendKeys(chromedp.CSS("#jid"), jid))
	b.typeInto(t, "#password", secret)
	b.until(t, `!document.getElementById("chat").hidden`)
	if got, want := b.text(t, "#state"), "Connected as "+jid; got != want {
		t.Errorf("the page says %q, want %q", got, want)
	}
	return b
}

// pageChat has two users talk with the page of examples/websocket.
func pageChat(t *testing.T, browser context.Context, site string, jids, passwords [2]string) {
	t.Helper()
	var tabs [2]tab
	for i, jid := range jids {
		b := openTab(t, browser, site, nil)
		do(t, b, "the address", chromedp.SendKeys(chromedp.CSS("#jid"), jid))
		b.typeInto(t, "#password", "wrong")
		b.until(t, `document.querySelector("#state.bad") !== null`)
		if got, want := b.text(t, "#state"), "Not connected: the address or the password is wrong."; got != want {
			t.Errorf("the page says %q, want %q", got, want)
		}
		tabs[i] = logIn(t, browser, site, jid, passwords[i])
	}
	for i, b := range tabs {
		b.typeInto(t, "#to", jids[1-i])
	}
	for i, b := range tabs {
		said := "ahoy <&'\"> ü 🚢 " + newID()
		b.typeInto(t, "#text", said)
		b.sees(t, "#log li.me", said)
		tabs[1-i].sees(t, "#log li.them", said)
	}
	picture(t, tabs[0])
}

// beside serves the page of examples/websocket in front of the WebSocket of a server.
func beside(t *testing.T, w *webServer) string {
	t.Helper()
	target, err := url.Parse(w.http)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(filepath.Join("..", "..", "examples", "websocket", "page"))))
	mux.Handle("/ws", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// The page of examples/websocket, with the servers of others as well.
func TestWebPage(t *testing.T) {
	for name, start := range webServers() {
		t.Run(name, func(t *testing.T) {
			site := beside(t, start(t))
			pageChat(t, chromium(t, ""), site, [2]string{"ana@localhost", "bo@localhost"}, [2]string{password, password})
		})
	}
}

// accountLine is how the examples tell of an account: the address and its password.
var accountLine = regexp.MustCompile(`(\S+@localhost) with the password (\S+)`)

// examples/websocket as it is.
func TestWebSocketExample(t *testing.T) {
	addr := net.JoinHostPort("127.0.0.1", freePort(t))
	p := &process{
		name: "websocket", dir: t.TempDir(), ready: addr,
		program: []string{buildExample(t, "websocket"), "-http", addr},
	}
	t.Cleanup(func() {
		if p.cmd == nil {
			return
		}
		p.stop()
		if t.Failed() {
			t.Log(p.tail())
		}
	})
	p.launch(t)
	var accounts [][]string // it says them after it listens
	for deadline := time.Now().Add(patience); len(accounts) != 2; {
		said, err := os.ReadFile(p.output())
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the example says %q (%v), want two accounts", said, err)
		}
		accounts = accountLine.FindAllStringSubmatch(string(said), -1)
	}
	pageChat(t, chromium(t, ""), "http://"+addr+"/",
		[2]string{accounts[0][1], accounts[1][1]}, [2]string{accounts[0][2], accounts[1][2]})
}
