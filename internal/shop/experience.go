package shop

import "time"

// Experience is how one request of a user, or one message, fared: the truth that telemetry may or may not tell.
type Experience struct {
	// Kind is what the user did, such as "checkout"; of a message, who processes it and the topic: "notification of orders".
	Kind    string
	Message bool
	// Began is when it was sent, Took how long the answer, or the end of the processing, took.
	Began time.Time
	Took  time.Duration
	// Failed says that the answer was an error, Hollow that it looked well although a service on the way had done no work.
	Failed, Hollow bool
	// Asked says that the user was only asked to come back later.
	Asked bool
}

func (r *request) experience(kind string, message bool, began int64, out outcome) {
	if r.sim.cfg.Watch == nil {
		return
	}
	r.sim.cfg.Watch(Experience{
		Kind: kind, Message: message, Began: time.Unix(0, began).UTC(), Took: time.Duration(out.end - began),
		Failed: out.failure != nil && !out.failure.asked, Hollow: r.hollow,
		Asked: out.failure != nil && out.failure.asked,
	})
}
