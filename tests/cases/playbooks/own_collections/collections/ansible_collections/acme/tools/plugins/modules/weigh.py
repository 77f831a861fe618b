from ansible.module_utils.basic import AnsibleModule
from ansible_collections.acme.tools.plugins.module_utils.scales import (  # of this collection
    weigh,
)


def main():
    module = AnsibleModule(argument_spec=dict(name=dict(required=True)))
    module.exit_json(changed=False, grams=weigh(module.params['name']))


if __name__ == '__main__':
    main()
