from ansible.module_utils.basic import AnsibleModule
from ansible_collections.acme.new.plugins.module_utils import weights
from ansible_collections.acme.old.plugins.module_utils.scales import weigh
from ..module_utils import tons


def main():
    module = AnsibleModule(argument_spec=dict(name=dict(required=True)))
    assert tons is weights
    module.exit_json(changed=False, grams=weigh(module.params['name']))


if __name__ == '__main__':
    main()
