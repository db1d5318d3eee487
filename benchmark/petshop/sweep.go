package main

import (
	"fmt"
	"io"
	"math/rand"

	"github.com/paramedic-otel/paramedic/internal/nodeimpact"
)

func sweep(w io.Writer, r run, scenarios []scenario) {
	print := func(name string, v run) {
		results := v.all(scenarios)
		c := total(results)
		fmt.Fprintf(w, "%-36s %6.3f %6.3f\n", name, share(c.top1, c.issues), share(c.top3, c.issues))
	}
	fmt.Fprintf(w, "\n%-36s %6s %6s\n", "variant", "top-1", "top-3")
	v := r
	v.withoutTraffic = true
	print("without traffic weights", v)
	v = r
	v.parameters.Explained, v.parameters.Ranking.Explained = 0, 0
	print("without explain-away", v)
	v = r
	v.calls = func([]nodeimpact.Call) []nodeimpact.Call { return nil }
	print("without graph", v)
	v.parameters.Alike = 0
	print("without graph, no call guessed", v)
	for _, alike := range []float64{r.parameters.Alike, 0} {
		top1, top3 := 0.0, 0.0
		const seeds = 20
		for seed := range int64(seeds) {
			v = r
			v.parameters.Alike = alike
			rng := rand.New(rand.NewSource(seed))
			v.calls = func(calls []nodeimpact.Call) (out []nodeimpact.Call) {
				for _, c := range calls {
					if rng.Float64() >= 0.2 {
						out = append(out, c)
					}
				}
				return out
			}
			c := total(v.all(scenarios))
			top1 += share(c.top1, c.issues) / seeds
			top3 += share(c.top3, c.issues) / seeds
		}
		fmt.Fprintf(w, "%-36s %6.3f %6.3f\n", fmt.Sprintf("20%% of the edges missing, alike %v", alike), top1, top3)
	}
}
