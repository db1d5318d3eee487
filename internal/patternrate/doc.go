// Package patternrate tells when a log template is written far more often than before, or hardly any more.
//
// A template's records are counted by buckets of time and judged by package excess against the template's own past, for each unit
// of what the service did in the meantime: for each request where records name their traces, or else for the service's activity,
// the median, over its templates, of how often they were written compared with their means. So neither a flash crowd, which all
// templates have part in, nor a flood of one template is taken for a change of the others.
package patternrate
