package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
)

// switchboard connects two tabs, so that they can find out how to connect by themselves.
type switchboard struct {
	mu   sync.Mutex
	tabs [2]*tab
}

// tab is one that listens for events.
type tab struct {
	id     string
	events chan event
}

// event is one of the stream of events of a tab: here (with its id), peer (there is
// another, and whether this one calls it), signal (of the other), left.
type event struct {
	name string
	data []byte
}

// maxEvents is how many events wait for a tab. There are about ten in a connection.
const maxEvents = 64

// enter adds a tab, and tells both if it is the second. nil: there are two already.
func (s *switchboard) enter() *tab {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &tab{rand.Text(), make(chan event, maxEvents)}
	for i := range s.tabs {
		if s.tabs[i] != nil {
			continue
		}
		s.tabs[i] = t
		t.tell("here", t.id)
		if other := s.tabs[1-i]; other != nil {
			t.tell("peer", map[string]bool{"caller": true})
			other.tell("peer", map[string]bool{"caller": false})
		}
		return t
	}
	return nil
}

// leave removes a tab, and tells the other.
func (s *switchboard) leave(t *tab) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.tabs {
		if s.tabs[i] != t {
			continue
		}
		s.tabs[i] = nil
		if other := s.tabs[1-i]; other != nil {
			other.tell("left", nil)
		}
	}
}

// pass hands a signal of the tab with an id to the other, if there is one that takes it.
func (s *switchboard) pass(id string, signal []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, t := range s.tabs {
		if other := s.tabs[1-i]; t != nil && t.id == id && other != nil {
			return other.post(event{"signal", signal})
		}
	}
	return false
}

// tell posts what JSON can express.
func (t *tab) tell(name string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // not one of ours
	}
	t.post(event{name, data})
}

// post queues an event. What a tab does not read in time is lost.
func (t *tab) post(e event) bool {
	select {
	case t.events <- e:
		return true
	default:
		return false
	}
}

// serveEvents is the stream of events of a tab (server-sent events), until it leaves.
func (s *switchboard) serveEvents(w http.ResponseWriter, r *http.Request) {
	t := s.enter()
	if t == nil {
		http.Error(w, "two tabs are here already", http.StatusConflict)
		return
	}
	defer s.leave(t)
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		select {
		case e := <-t.events:
			// A line end within JSON is no part of a value, and would end the event.
			data := bytes.ReplaceAll(bytes.ReplaceAll(e.data, []byte("\n"), nil), []byte("\r"), nil)
			if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e.name, data); err != nil {
				return
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
