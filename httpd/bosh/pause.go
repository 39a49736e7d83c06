package bosh

import "time"

// pause lets a client stay away for as long as it wants to, within the bound: until its
// next request (XEP-0124, section 10). The caller holds mu.
func (s *session) pause(p *request) {
	s.release = p.rid
	s.patience = min(max(time.Duration(min(p.pause, int64(maxSeconds)))*time.Second, time.Second), max(s.maxPause, s.inactivity))
}

// maxSeconds is the longest time that a client may name: an xs:unsignedShort.
const maxSeconds = 1<<16 - 1
