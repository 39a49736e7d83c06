package c2s

import (
	"cmp"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// StreamManagement are the options of stream management (XEP-0198): clients
// acknowledge what they get and are told what is safe, and take up a session
// whose connection broke. The names in the tags are those of mod_stream_mgmt.
// Start from StreamManagementDefaults.
type StreamManagement struct {
	// MaxAckQueue is the most stanzas that a client has not acknowledged, those
	// that wait to be written or resent included; over it the session ends.
	// Options.MaxFSMQueue and Options.MaxQueueBytes apply besides. Default: 5000.
	// 0: no bound of its own.
	MaxAckQueue int `conf:"max_ack_queue,count=10000"`

	// ResumeTimeout is how long a session waits to be resumed after its
	// connection broke, unless the client asks for another time; it is rounded
	// down to seconds. Default: 300 s. 0: sessions cannot be resumed.
	ResumeTimeout time.Duration `conf:"resume_timeout,min=0"`

	// MaxResumeTimeout bounds the time that a client can ask for. Default: 0,
	// which means ResumeTimeout.
	MaxResumeTimeout time.Duration `conf:"max_resume_timeout,min=0"`

	// AckTimeout is how long a client may take to answer a request for an
	// acknowledgement before its connection counts as broken. Default: 60 s.
	// 0: no bound.
	AckTimeout time.Duration `conf:"ack_timeout,inf"`

	// ResendOnTimeout is there for files written for ejabberd: true, false or
	// if_offline. It has no effect. What a session has not got when it ends
	// always goes back to the host, which treats it like what is sent to a
	// resource that is not there: mostly if_offline. Default: "".
	ResendOnTimeout string `conf:"resend_on_timeout,enum=true|false|if_offline"`
}

// StreamManagementDefaults returns the options of a configuration that only
// switches stream management on.
func StreamManagementDefaults() StreamManagement {
	return StreamManagement{MaxAckQueue: 5000, ResumeTimeout: 300 * time.Second, AckTimeout: 60 * time.Second}
}

// SetStreamManagement switches stream management on for the virtual hosts for
// which o has options, and off for the others. Until it is called it is off.
// Streams that are managed already stay as they are. It may be called at any
// time and does not block.
func (s *Server) SetStreamManagement(o stanza.PerHost[*StreamManagement]) { s.management.Store(&o) }

// managementFor returns the options of a virtual host, nil for off.
func (s *Server) managementFor(domain string) *StreamManagement {
	if o := s.management.Load(); o != nil {
		return o.For(domain)
	}
	return nil
}

// wait returns how long a session can be resumed whose client wants asked, 0 if
// it has no wish.
func (o *StreamManagement) wait(asked time.Duration) time.Duration {
	wait := o.ResumeTimeout
	if asked > 0 && wait > 0 {
		wait = min(asked, cmp.Or(o.MaxResumeTimeout, wait))
	}
	return wait.Truncate(time.Second)
}
