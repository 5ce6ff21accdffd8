-- Rights, ownership and releases: what registry 1 left unguarded.

-- == rights: data written by one role is never executed by a more privileged one


-- == ownership: which objects of the catalog are versions of ours


-- == releases: what a mapping and a membership are checked against


-- == instances: who may report for which project
