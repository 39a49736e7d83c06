package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"time"

	"github.com/pion/turn/v2"
)

//go:embed page
var files embed.FS

// lifetime is how long credentials are good: allocations that were made with them may
// be refreshed until then.
const lifetime = time.Hour

// handler is all of the program that speaks HTTP. relay is the address of the TURN
// server that knows the secret.
func handler(relay string, secret []byte) http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the name is wrong
	}
	tabs := new(switchboard)
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(page))
	mux.HandleFunc("GET /relay", func(w http.ResponseWriter, r *http.Request) { serveRelay(w, r, relay, secret) })
	mux.HandleFunc("GET /events", tabs.serveEvents)
	mux.HandleFunc("POST /signal", tabs.serveSignal)
	// A page of somebody else cannot speak in the name of a tab.
	return policy(http.NewCrossOriginProtection().Handler(mux))
}

// policy has browsers run nothing that is not of this program.
func policy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src data:")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// serve serves HTTP until ctx is cancelled.
func serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	done := make(chan error)
	stop := context.AfterFunc(ctx, func() {
		// Browsers keep connections that they have not used yet.
		grace, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Shutdown(grace)
		done <- s.Close()
	})
	err := s.Serve(ln)
	if stop() {
		return err // it failed before it was told to end
	}
	return errors.Join(<-done, context.Cause(ctx))
}

// relayServer is an RTCIceServer of a browser.
type relayServer struct {
	URLs       string `json:"urls"`
	Username   string `json:"username"`
	Credential string `json:"credential"`
}

// serveRelay hands out credentials: a user name that says until when it is good, and a
// password that only those can make who know the secret.
func serveRelay(w http.ResponseWriter, r *http.Request, relay string, secret []byte) {
	transport := r.FormValue("transport")
	if transport != "udp" && transport != "tcp" {
		http.Error(w, "transport is udp or tcp", http.StatusBadRequest)
		return
	}
	user, password, err := turn.GenerateLongTermCredentials(string(secret), lifetime)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(relayServer{"turn:" + relay + "?transport=" + transport, user, password}) // a tab that has gone needs none
}

// maxSignal is how long a signal of a tab may be, in bytes. A session description of a
// data channel has about 500.
const maxSignal = 64 << 10

// serveSignal passes on what a tab has to say to the other.
func (s *switchboard) serveSignal(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSignal))
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
	case !json.Valid(body):
		http.Error(w, "a signal is JSON", http.StatusBadRequest)
	case !s.pass(r.FormValue("tab"), body):
		http.Error(w, "there is no other tab", http.StatusGone)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
