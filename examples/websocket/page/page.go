// Package page is a chat in one page of plain JavaScript: an XMPP client over WebSocket
// (RFC 7395) that logs in by SCRAM.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html"
	"net/http"
	"strings"
	"time"
)

//go:embed index.html
var index string

// Handler serves the page, at whatever path. Its WebSocket is at /ws of the same server.
func Handler() http.Handler { return HandlerAt("/ws") }

// HandlerAt is Handler with the WebSocket at another path of the same server.
func HandlerAt(path string) http.Handler {
	const place = `<meta name="websocket" content="/ws">`
	text := strings.Replace(index, place, `<meta name="websocket" content="`+html.EscapeString(path)+`">`, 1)
	policy := strings.Join([]string{
		"default-src 'none'", "script-src " + hash(text, "script"), "style-src " + hash(text, "style"), "img-src data:",
		"connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
	}, "; ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the page is there to be read (GET)", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader([]byte(text)))
	})
}

// hash returns what allows the only element with a tag, and no other (CSP Level 3,
// section 2.3.1).
func hash(text, tag string) string {
	_, rest, _ := strings.Cut(text, "<"+tag)
	_, rest, _ = strings.Cut(rest, ">")
	content, _, _ := strings.Cut(rest, "</"+tag+">")
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
