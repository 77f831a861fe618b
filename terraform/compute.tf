# The hosts: plain machines with a login user and a key. `roll` installs everything else, and needs nothing on them.

data "aws_ssm_parameter" "image" {
  name = var.image_parameter
}

locals {
  # app1, app2, ... and the subnet (so the zone) of each, in turn.
  hosts = { for index in range(var.host_count) : "app${index + 1}" => index % length(local.zones) }
}

resource "aws_instance" "app" {
  for_each = local.hosts

  ami                    = nonsensitive(data.aws_ssm_parameter.image.value)
  instance_type          = var.instance_type
  subnet_id              = aws_subnet.public[each.value].id
  vpc_security_group_ids = [aws_security_group.app.id]
  iam_instance_profile   = aws_iam_instance_profile.app.name

  user_data = templatefile("${path.module}/templates/user_data.yaml.tftpl", {
    user = var.login_user
    key  = var.login_public_key
  })

  root_block_device {
    volume_type = "gp3"
    volume_size = var.disk_gib
    encrypted   = true
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  tags = { Name = "${var.name}-${each.key}" }

  lifecycle {
    # A newer image of the distribution is no reason to replace running hosts.
    ignore_changes = [ami, user_data]
  }

  depends_on = [aws_route.internet]
}
