(for-each (lambda (variable) (display variable) (newline)) (sort (environ) string<?))
(force-output)
(display (status:exit-val (system* "sh" (cadr (command-line)) "a b" "")))
(newline)
