// Package evidence turns what several detectors and signals say about one entity into one probability that the entity is
// in an abnormal state, and tells how much each of them is worth.
//
// Each source gives the probability with which it would say such a thing, or a stronger one, by chance: a p-value. By
// Bayes' rule it adds a logarithmic likelihood ratio to the odds. If the source is affected by the entity's state its
// p-value has a Beta(a, 1) density (Sellke, Bayarri and Berger, "Calibration of p Values for Testing Precise Null
// Hypotheses", 2001), and an episode affects only a share of the sources, so the ratio is a mixture that costs a quiet
// source little (the sparse mixtures of Donoho and Jin, "Higher Criticism", 2004).
//
// Sources that move together say the same thing more than once. Their correlation is learnt from what they say while the entity
// is calm, and a source counts as one over the sum of its absolute correlations with all that say the same, louder or as loud: ten copies count as one,
// and ten sources with pairwise correlation r as 10/(1+9r), the number of independent ones that hold as much. Until the
// correlation is known it is taken to be 1.
//
// The state is a Markov chain of two states, calm and abnormal, that is filtered forward in time (Rabiner, "A Tutorial on
// Hidden Markov Models", 1989): an episode is rare, and once there it is likely to go on, in the sources that showed it.
//
// What a source says may only repeat what it said before. The correlation of its deviation with the one before is learnt too, and so
// much of the evidence that came with that one is taken away from its evidence now.
//
// A source whose small p-values come more often in calm times than they claim is believed only as far as they do.
//
// The information gain of a source is the mutual information of its p-value, in five classes, and the state, learnt from
// what the other sources say the state was.
package evidence
