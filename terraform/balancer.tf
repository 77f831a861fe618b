# The load balancer and the group of targets that a rollout takes out and puts back one at a time.

locals {
  is_https       = var.certificate_arn != null
  listener_ports = local.is_https ? [80, 443] : [80]
  listener_arn   = local.is_https ? aws_lb_listener.https[0].arn : aws_lb_listener.http.arn
  app_url        = local.is_https ? "https://${var.domain_name}" : "http://${aws_lb.main.dns_name}"
}

resource "aws_lb" "main" {
  name                       = var.name
  load_balancer_type         = "application"
  security_groups            = [aws_security_group.balancer.id]
  subnets                    = aws_subnet.public[*].id
  drop_invalid_header_fields = true

  # The application keeps idle connections for 75 seconds. It must always be the longer of the two, or the load balancer sends a
  # request down a connection that is just being closed and answers 502.
  idle_timeout = max(60, var.request_seconds_max + 5)
}

resource "aws_lb_target_group" "app" {
  name        = var.name
  vpc_id      = aws_vpc.main.id
  target_type = "instance"
  protocol    = "HTTP"
  port        = var.app_port

  # The load balancer cuts what is still running when the delay ends, so it may not be shorter than a request; and a rollout is not
  # slowed by it, because it watches the connections themselves.
  deregistration_delay = var.request_seconds_max + 5

  health_check {
    path                = "/healthz"
    matcher             = "200"
    interval            = 5
    timeout             = 3
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

# A rollout deregisters and registers these same targets. Between the two, `terraform plan` would want to add the one that is out.
resource "aws_lb_target_group_attachment" "app" {
  for_each = aws_instance.app

  target_group_arn = aws_lb_target_group.app.arn
  target_id        = each.value.id
  port             = var.app_port
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type             = local.is_https ? "redirect" : "forward"
    target_group_arn = local.is_https ? null : aws_lb_target_group.app.arn

    dynamic "redirect" {
      for_each = local.is_https ? ["https"] : []

      content {
        protocol    = "HTTPS"
        port        = "443"
        status_code = "HTTP_301"
      }
    }
  }
}

resource "aws_lb_listener" "https" {
  count = local.is_https ? 1 : 0

  load_balancer_arn = aws_lb.main.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
}

# The deployment's endpoints are for the hosts themselves. The application refuses them as well when a request came through a proxy.
resource "aws_lb_listener_rule" "closed" {
  listener_arn = local.listener_arn
  priority     = 1

  condition {
    path_pattern {
      values = var.closed_paths
    }
  }

  action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      message_body = "Not from outside."
      status_code  = "403"
    }
  }
}
