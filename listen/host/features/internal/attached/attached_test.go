package attached

import (
	"errors"
	"slices"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestStreams(t *testing.T) {
	var l Streams
	one, two, three := new(listentest.Sink), new(listentest.Sink), new(listentest.Sink)
	if l.Add("not a domain", one) != nil {
		t.Error("what is no domain was added")
	}
	for _, add := range []struct {
		domain string
		sink   *listentest.Sink
		want   bool
	}{{"y.test", one, true}, {"x.test", two, true}, {"y.test", three, true}, {"y.test", one, false}, {"x.test", one, true}} {
		if got := l.Add(add.domain, add.sink) != nil; got != add.want {
			t.Errorf("Add(%q): got %t, want %t", add.domain, got, add.want)
		}
	}
	domains := func() (all []string) {
		for _, d := range l.Domains() {
			all = append(all, d.String())
		}
		return all
	}
	if got, want := domains(), []string{"y.test", "x.test"}; !slices.Equal(got, want) {
		t.Errorf("domains: got %q, want %q", got, want)
	}
	if gone, last := l.Remove("y.test", two); gone != nil || last {
		t.Errorf("Remove of an unknown one: got %v, %t", gone, last)
	}
	if gone, last := l.Remove("y.test", one); gone == nil || gone.Sink != one || last {
		t.Errorf("Remove of one of two: got %v, %t", gone, last)
	}
	if got, want := domains(), []string{"x.test", "y.test"}; !slices.Equal(got, want) {
		t.Errorf("domains: got %q, want %q", got, want)
	}
	if gone, last := l.Remove("y.test", three); gone == nil || !last {
		t.Errorf("Remove of the last one: got %v, %t", gone, last)
	}
}

func TestTell(t *testing.T) {
	var l Streams
	sink := &listentest.Sink{Limit: 3}
	s := l.Add("x.test", sink)
	host, err := stanza.ParseJID("a.test")
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		says string
		told int // messages so far
		err  error
	}{{"", 0, nil}, {"a", 1, nil}, {"a", 1, nil}, {"b", 2, nil}, {"", 3, nil}, {"", 3, nil}, {"c", 3, stanza.ErrQueueFull}, {"", 3, nil}} {
		err := s.Tell(host, step.says, stanza.Name{Space: "urn:x", Local: "x"}, "<x xmlns='urn:x'>"+step.says+"</x>")
		if !errors.Is(err, step.err) || len(sink.Stanzas()) != step.told {
			t.Errorf("step %d: %d messages, %v; want %d, %v", i, len(sink.Stanzas()), err, step.told, step.err)
		}
	}
	m := sink.Stanzas()[1]
	if m.Kind != stanza.Message || m.From != host || m.To != s.Domain || m.ID == "" || m.Inner != "<x xmlns='urn:x'>b</x>" {
		t.Errorf("message is %s", m)
	}
	if got := s.Hosts(); len(got) != 0 {
		t.Errorf("told about %q", got)
	}
}
