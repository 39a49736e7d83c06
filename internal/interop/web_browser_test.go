//go:build interop

package interop

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// picture keeps what a tab shows in the folder TIDEWAITER_ARTIFACTS, if there is one.
func picture(t *testing.T, b tab) {
	t.Helper()
	dir := os.Getenv("TIDEWAITER_ARTIFACTS")
	if dir == "" {
		dir = t.TempDir()
	}
	name := filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "_")+".png")
	write(t, name, string(do(t, b, "a picture", chromedp.CaptureScreenshot())))
}

// typeInto types into an element of a page that is there, and a line end.
func (b tab) typeInto(t *testing.T, selector, text string) {
	t.Helper()
	b.until(t, fmt.Sprintf("document.querySelector(%q) !== null", selector))
	do(t, b, selector, chromedp.SendKeys(chromedp.CSS(selector), text+"\r"))
}

// sees waits until one of the elements has a text.
func (b tab) sees(t *testing.T, selector, text string) {
	t.Helper()
	b.until(t, fmt.Sprintf("[...document.querySelectorAll(%q)].some(e => e.textContent.includes(%q))", selector, text))
}

// converseSite serves converse.js from another origin than that of the XMPP server.
func converseSite(t *testing.T) string {
	t.Helper()
	dist := filepath.Join("js", "node_modules", "converse.js", "dist")
	if _, err := os.Stat(dist); err != nil {
		t.Fatalf("converse.js is not installed (npm --prefix internal/interop/js ci): %v", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/dist/", http.StripPrefix("/dist/", http.FileServer(http.Dir(dist))))
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join("testdata", "converse.html"))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// converse logs a user in, in a tab, and opens a conversation.
func converse(t *testing.T, browser context.Context, site, user, peer, option, service string) tab {
	t.Helper()
	query := url.Values{"jid": {user + "@localhost"}, "password": {password}, option: {service}}
	b := openTab(t, browser, site+"/?"+query.Encode(), nil)
	b.until(t, "window.ready === true")
	// What comes before converse.js has looked up what was said earlier is not always shown.
	const open = "api.chats.open(%q, {}, true).then(c => c.messages.fetched).then(() => { window.opened = true }), true"
	do(t, b, "to open a conversation", chromedp.Evaluate[bool](fmt.Sprintf(open, peer+"@localhost")))
	b.until(t, "window.opened === true")
	return b
}

// Two people talk with converse.js in Chromium, by WebSocket and by BOSH.
func TestWebConverse(t *testing.T) {
	site := converseSite(t)
	for name, start := range webServers() {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			browser := chromium(t, "")
			for path, option := range map[string]string{"/ws": "websocket_url", "/bosh": "bosh_service_url"} {
				t.Run(path[1:], func(t *testing.T) {
					service := w.scenario(w.http, path).Service
					ana := converse(t, browser, site, "ana", "bo", option, service)
					bo := converse(t, browser, site, "bo", "ana", option, service)
					for _, way := range [][2]tab{{ana, bo}, {bo, ana}} {
						said := "ahoy <&'\"> ü 🚢 " + newID()
						way[0].typeInto(t, "textarea.chat-textarea", said)
						way[0].sees(t, ".chat-msg__text", said)
						way[1].sees(t, ".chat-msg__text", said)
					}
					picture(t, ana)
				})
			}
		})
	}
}
